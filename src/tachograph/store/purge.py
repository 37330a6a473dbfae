"""Old calls deleted for good, in batches so small that no writer waits for one to end.

SQLite has one writer at a time, so each batch is sized by how long the last one took, and the lock
is left alone between two of them for longer than a waiting writer sleeps between its looks. In
PostgreSQL deleting old rows keeps nobody waiting; there batches keep transactions short.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds
from tachograph.store.database import failure, write_transaction
from tachograph.store.schema import (
    calls,
    contents,
    journal_dead,
    operation_spans,
    reconciliations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Engine

FIRST_BATCH = 100
LARGEST_BATCH = 10_000
HOLD_SECONDS = 0.012
"""How long a batch may keep the lock. SQLite looks again 1, 3, 8, 18, 33 and 53 ms after it was
refused: on a busy machine a batch may take twice or three times as long, and a writer waits 33."""
PAUSE_SECONDS = 0.03
"""Between two batches: SQLite looks again after 25 ms at most, while it has not waited long."""


def count_before(engine: Engine, before: datetime, *, content_only: bool = False) -> int:
    """How many calls began before this instant, or how many of them have their content yet."""
    id_ = contents.c.call_id if content_only else calls.c.id
    query = sa.select(sa.func.count()).where(_older(id_, before))
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()


def purge(
    engine: Engine,
    before: datetime,
    progress: Callable[[int], object] | None = None,
    *,
    content_only: bool = False,
) -> int:
    """Deletes the calls that began before this instant, the oldest first; how many they were.

    What belongs to them goes with them: their content, what `/generation` said, the spans of their
    operations, and records that could not be stored. `content_only` leaves the calls and what was
    said of them. `progress` is told after each batch how many went. May be broken off and run
    again. StoreError when the database fails.
    """
    of_each = [contents.c.call_id]
    if not content_only:
        of_each += [reconciliations.c.call_id, operation_spans.c.id, calls.c.id]
    deleted, batch = 0, FIRST_BATCH
    try:
        with write_transaction(engine) as connection:
            # a record that could not be read may hold content, too
            connection.execute(sa.delete(journal_dead).where(journal_dead.c.set_aside_us < before))
        with _not_waiting_for_the_disk(engine):
            # after the calls what is left of others: of those that were archived, for instance
            for counted in reversed(of_each):
                while (last := _last_of_batch(engine, counted, before, batch)) is not None:
                    with write_transaction(engine) as connection:
                        began = time.monotonic()
                        for id_ in of_each:
                            gone = connection.execute(
                                sa.delete(id_.table).where(id_ <= last)
                            ).rowcount
                    batch = next_size(batch, time.monotonic() - began)
                    deleted += gone
                    if progress is not None:
                        progress(gone)
                    time.sleep(PAUSE_SECONDS)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return deleted


@contextmanager
def _not_waiting_for_the_disk(engine: Engine) -> Iterator[None]:
    """On SQLite: a commit waits for the disk while it holds the lock. A batch that a power cut
    brings back is deleted by the next purge; what others commit waits for the disk as before."""
    if engine.dialect.name == "sqlite":
        _set_synchronous(engine, "NORMAL")
    try:
        yield
    finally:
        if engine.dialect.name == "sqlite":
            _set_synchronous(engine, "FULL")


def _set_synchronous(engine: Engine, how: str) -> None:
    connection = engine.raw_connection()  # the one that the pool has, outside of a transaction
    try:
        connection.cursor().execute(f"PRAGMA synchronous={how}")
    finally:
        connection.close()


def _last_of_batch(
    engine: Engine, id_: sa.Column[bytes], before: datetime, size: int
) -> bytes | None:
    """The newest among the oldest ids, so many; None when there are none left."""
    oldest = sa.select(id_).where(_older(id_, before)).order_by(id_).limit(size)
    with engine.connect() as connection:
        ids: Sequence[bytes] = connection.execute(oldest).scalars().all()
    return ids[-1] if ids else None


def next_size(size: int, held: float, hold: float = HOLD_SECONDS) -> int:
    """The number that would have taken `hold` seconds, at most twice as many as before."""
    fitting = int(size * hold / max(held, 0.001))
    return max(1, min(fitting, size * 2, LARGEST_BATCH))


def _older(id_: sa.Column[bytes], before: datetime) -> sa.ColumnElement[bool]:
    return id_ < uuid7_floor(microseconds(before))
