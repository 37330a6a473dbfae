"""Every stored call as a polars frame, of which SQL reads only what the query needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from tachograph.analytics.periods import When
from tachograph.analytics.scanning import read, scan_of
from tachograph.analytics.schema import CALLS, stored_names
from tachograph.analytics.sources import Source, database
from tachograph.store import queries, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def scan_calls(
    source: Source, since: When | None = None, until: When | None = None
) -> pl.LazyFrame:
    """All calls that began in [since, until), one row each, as a LazyFrame with the schema CALLS.

    Nothing is read before it is collected; then columns, filters and `head` go to SQL. A recorder
    as source is flushed first, so that the frame has what was recorded until then. `since` and
    `until` may be datetimes with a zone, dates (midnight UTC), or text such as "7d" and
    "2026-11-01". The order of the rows is not promised.
    """
    return register_io_source(
        scan_of(source, since, until), schema=CALLS, validate_schema=True, explain_name="calls"
    )


def read_calls(
    source: Source, since: When | None = None, until: When | None = None
) -> pl.DataFrame:
    """All calls that began in [since, until), in the order in which they began."""
    return scan_calls(source, since, until).sort("id").collect()


def call_batches(
    source: Source, since: When | None = None, until: When | None = None
) -> Iterator[pl.DataFrame]:
    """All calls that began in [since, until), in that order, some thousand at a time."""
    names = list(CALLS)
    period = scan_of(source, since, until).period()
    statement = queries.select_calls(stored_names(names), period, oldest_first=True)
    yield from read(source, statement, names)


def latest(source: Source, n: int = 20, columns: Sequence[str] = tuple(CALLS)) -> pl.DataFrame:
    """The last n calls, the newest first; SQL reads no others."""
    names = list(columns)
    statement = queries.select_calls(stored_names(names), limit=n, newest_first=True)
    return pl.concat([CALLS.to_frame().select(names), *read(source, statement, names)])


def read_operation(source: Source, operation_id: str) -> pl.DataFrame:
    """All calls of one operation, in the order in which they began."""
    stored_id = queries.uuid_text(operation_id)
    if stored_id is None:
        raise ValueError(f"{operation_id!r} is no id of an operation")
    names = list(CALLS)
    statement = queries.select_calls(stored_names(names), [queries.of_operation(stored_id)])
    return pl.concat([CALLS.to_frame(), *read(source, statement, names)]).sort("id")


def count_calls(
    source: Source, since: When | None = None, until: When | None = None, *, at_most: int
) -> int:
    """How many calls began in [since, until), without counting further than `at_most`."""
    statement = queries.count_calls(scan_of(source, since, until).period(), at_most)
    ((count,),) = next(iter(reading.column_chunks(database(source), statement)))
    return int(count)
