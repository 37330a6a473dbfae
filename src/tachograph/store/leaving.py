"""Calls that leave SQL because they are kept elsewhere: which days have some, and their deletion.

What is deleted is compared in the same transaction, so that nothing goes that changed or came after
it was written elsewhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.core.units import from_microseconds, microseconds
from tachograph.store.database import failure, write_transaction
from tachograph.store.purge import FIRST_BATCH, PAUSE_SECONDS, next_size
from tachograph.store.queries import select_calls
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from sqlalchemy.engine import Engine

Row = sa.Row[Any]

_DAY_US = 24 * 3600 * 1_000_000


def days_with_calls(engine: Engine, before: datetime) -> Iterator[date]:
    """The days (UTC) on which calls began that are stored, the oldest first."""
    low = uuid7_floor(0)
    while True:
        query = sa.select(sa.type_coerce(calls.c.started_us, sa.BigInteger)).where(
            calls.c.id >= low, calls.c.id < uuid7_floor(microseconds(before))
        )
        with engine.connect() as connection:
            first = connection.execute(query.order_by(calls.c.id).limit(1)).scalar()
        if first is None:
            return
        yield from_microseconds(first).date()
        low = uuid7_floor(first - first % _DAY_US + _DAY_US)


HOLD_SECONDS = 0.1
"""How long a batch may keep the lock: longer than a purge does, since each row is compared."""


class Leaving:
    """Deletes calls that were looked at, in batches so small that a writer hardly waits for one."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        """`names` are the columns that are looked at, the first is `id`."""
        self._engine = engine
        self._looked_at = select_calls(names, oldest_first=True)
        self._size = FIRST_BATCH

    def read(self, first: bytes, last: bytes) -> Sequence[Row]:
        """The calls from this id to that one, as they are stored, in the order of ids."""
        try:
            with self._engine.connect() as connection:
                return connection.execute(self._looked_at.where(_between(first, last))).all()
        except sa.exc.DBAPIError as error:
            raise failure(self._engine.url, error) from error

    def delete(self, rows: Sequence[Row], step: Callable[[int], object]) -> int:
        """Deletes these calls where SQL has between them just these; how many they were.

        A batch stays in which one has changed or to which another came. `step` is told of each
        that went. StoreError when the database fails.
        """
        done = deleted = 0
        while batch := rows[done : done + self._size]:
            began = time.monotonic()
            done += len(batch)
            if self._delete(batch):
                self._size = next_size(self._size, time.monotonic() - began, HOLD_SECONDS)
                deleted += len(batch)
                step(len(batch))
            time.sleep(PAUSE_SECONDS)
        return deleted

    def _delete(self, batch: Sequence[Row]) -> bool:
        going = sa.delete(calls).where(_between(batch[0][0], batch[-1][0]))
        try:
            with write_transaction(self._engine) as connection:
                gone = connection.execute(going.returning(*self._looked_at.selected_columns)).all()
                agreed = set(gone) == set(batch)
                if not agreed:
                    connection.rollback()
        except sa.exc.DBAPIError as error:
            raise failure(self._engine.url, error) from error
        return agreed


def _between(first: bytes, last: bytes) -> sa.ColumnElement[bool]:
    return sa.and_(calls.c.id >= first, calls.c.id <= last)
