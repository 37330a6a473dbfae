"""The spans of `recorder.operation`: kept, so that traces that are sent again have them too.

They wait in memory alone, unlike calls: a process that is killed loses those of the last moment.
"""

from __future__ import annotations

import logging
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tachograph.core.ids import uuid7_floor
from tachograph.core.records import OperationSpan
from tachograph.core.units import from_microseconds, microseconds
from tachograph.store.database import not_permitted, write_transaction
from tachograph.store.reading import reading
from tachograph.store.schema import operation_spans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import Engine

logger = logging.getLogger("tachograph")

IN_MEMORY = 10_000
"""Spans that wait at the most; while the database is away, the oldest are forgotten."""
_BATCH = 500
_LONGEST_US = 24 * 3_600_000_000


class WaitingOperations:
    """Spans of operations that have ended, on their way into SQL."""

    def __init__(self) -> None:
        self._waiting: deque[OperationSpan] = deque()
        # a generator that is garbage-collected may leave an operation while its thread is in here
        self._lock = RLock()
        self._forbidden = False
        self.taken_in = 0
        """Those that wait, and those that did."""
        self.settled = 0

    def append(self, span: OperationSpan) -> None:
        """For any thread; nothing that is slow holds the lock."""
        with self._lock:
            if len(self._waiting) >= IN_MEMORY:
                self._waiting.popleft()
                self.taken_in -= 1
            self._waiting.append(span)
            self.taken_in += 1

    def store(self, engine: Engine) -> None:
        """For the writer's thread: stores what waits. What the database did not take waits on."""
        while taken := self._take():
            try:
                if not self._forbidden:
                    self._insert(engine, taken)
            except BaseException:
                with self._lock:
                    self._waiting.extendleft(reversed(taken))
                raise
            self.settled += len(taken)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _take(self) -> list[OperationSpan]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]

    def _insert(self, engine: Engine, spans: list[OperationSpan]) -> None:
        insert = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert
        try:
            with write_transaction(engine) as connection:
                rows = [_row(span) for span in spans]
                connection.execute(insert(operation_spans).on_conflict_do_nothing(), rows)
        except sa.exc.ProgrammingError as error:
            if not not_permitted(error):
                raise
            # a role that was set up before there was this table: calls are what counts
            self._forbidden = True
            logger.warning("tachograph: spans of operations are not kept: %s", error.orig)
        except (sa.exc.IntegrityError, sa.exc.DataError, OverflowError, ValueError) as error:
            if len(spans) == 1:
                logger.error("tachograph: the span of an operation cannot be kept: %s", error)
            else:
                for span in spans:
                    self._insert(engine, [span])


def read_operation_spans(
    source: str | sa.URL | Engine, since: datetime, until: datetime | None
) -> Iterator[OperationSpan]:
    """Those that were open at some time in [since, until), in the order of their beginning; of
    those that lasted more than a day, the ones that began at most a day before."""
    earliest = uuid7_floor(microseconds(since) - _LONGEST_US)
    query = sa.select(operation_spans).where(
        operation_spans.c.id >= earliest, operation_spans.c.ended_us >= since
    )
    if until is not None:
        query = query.where(operation_spans.c.id < uuid7_floor(microseconds(until)))
    with reading(source) as engine, engine.connect() as connection:
        rows = connection.execution_options(stream_results=True).execute(
            query.order_by(operation_spans.c.id)
        )
        for row in rows.mappings():
            told = {name: row[name] for name in OperationSpan.__struct_fields__}
            told["started_us"] = microseconds(row["started_us"])
            told["ended_us"] = microseconds(row["ended_us"])
            yield OperationSpan(**told)


def _row(span: OperationSpan) -> dict[str, Any]:
    return msgspec.structs.asdict(span) | {
        "started_us": from_microseconds(span.started_us),
        "ended_us": from_microseconds(span.ended_us),
    }
