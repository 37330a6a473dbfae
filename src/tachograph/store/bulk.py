"""Rows of `calls` by the million, for made-up data: only the columns that they have are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tachograph.store.insert import Inserter, write_ledger
from tachograph.store.queries import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tachograph.store.insert import Ledger
    from tachograph.store.rows import Row

_CACHE_KIB = 64 * 1024
"""For the pages of indexes, which are not filled in their order."""


def store_in_bulk(
    engine: sa.Engine, columns: Sequence[str], batches: Iterable[Sequence[Row]], ledger: Ledger
) -> None:
    """Stores each batch in a transaction, and what of it is in the ledger, which is closed then.

    `columns` names the members of the rows, as frames do. Rows that are there already stay.
    """
    if engine.dialect.name == "sqlite":
        _into_sqlite(engine, columns, batches, ledger)
    else:
        inserter = Inserter(engine)
        for batch in batches:
            ledger.made += len(batch)
            inserter.store(list(_whole(columns, batch)), ledger)
    ledger.closed = True
    Inserter(engine).store([], ledger)


def _into_sqlite(
    engine: sa.Engine, columns: Sequence[str], batches: Iterable[Sequence[Row]], ledger: Ledger
) -> None:
    insert = (
        f"INSERT INTO calls ({', '.join(COLUMNS[name].column.name for name in columns)}) "  # noqa: S608
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.commit()
        for batch in batches:
            ledger.made += len(batch)
            added = connection.exec_driver_sql(insert, list(batch)).rowcount
            write_ledger(connection, ledger, added)
            connection.commit()
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        # readers are slow beside a long write-ahead log
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _whole(columns: Sequence[str], batch: Sequence[Row]) -> Iterator[Row]:
    """The rows with a member for every column of the table."""
    places = [columns.index(name) if name in columns else None for name in COLUMNS]
    for row in batch:
        yield tuple(None if place is None else row[place] for place in places)
