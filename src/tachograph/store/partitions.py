"""`calls` of PostgreSQL in partitions by month, for those who chose so when they created it.

The key of a partition must be part of the primary key, and the id is in the order of time: a month
is a range of ids. What lies outside of every month is in `calls_default`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds
from tachograph.store.database import failure, write_transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

MONTHS_AHEAD = 3


def is_partitioned(engine: Engine) -> bool:
    """Whether `calls` is there and in partitions."""
    if engine.dialect.name != "postgresql":
        return False
    query = sa.text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('calls')")
    with engine.connect() as connection:
        return bool(connection.execute(query).scalar())


def add_months(engine: Engine, now: datetime) -> list[str]:
    """Makes the partitions of this month and the next ones that are not there; their names.

    Calls that a month was made too late for are moved into it. StoreError when the database fails.
    """
    made = []
    try:
        with write_transaction(engine) as connection:
            for name, first, last in _months(now):
                if not sa.inspect(connection).has_table(name):
                    _add(connection, name, first, last)
                    made.append(name)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return made


def _add(connection: Connection, name: str, first: UUID, beyond: UUID) -> None:
    connection.exec_driver_sql(
        f"CREATE TABLE {name} (LIKE calls INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    )
    connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM calls_default WHERE id >= '{first}' AND id < '{beyond}'"  # noqa: S608
        f" RETURNING *) INSERT INTO {name} SELECT * FROM moved"
    )
    connection.exec_driver_sql(
        f"ALTER TABLE calls ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{beyond}')"
    )


def _months(now: datetime) -> Iterator[tuple[str, UUID, UUID]]:
    """Name, first id, and the first id beyond, of this month and those ahead."""
    month = now.year * 12 + now.month - 1
    for number in range(month, month + MONTHS_AHEAD + 1):
        starts = [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in (number, number + 1)]
        first, beyond = (UUID(bytes=uuid7_floor(microseconds(start))) for start in starts)
        yield f"calls_{starts[0]:%Y_%m}", first, beyond
