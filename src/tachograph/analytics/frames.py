"""Every stored call as a polars frame, of which SQL reads only what the query needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics.archived import with_filed
from tachograph.analytics.lazy_frames import lazy_frame
from tachograph.analytics.periods import When
from tachograph.analytics.scanning import read, scan_of, sql_scan_of
from tachograph.analytics.schema import CALLS, stored_names
from tachograph.analytics.sources import Source, database
from tachograph.store import queries, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_ROWS = 2**32 - 2
"""A frame of polars has no more."""


def scan_calls(
    source: Source,
    since: When | None = None,
    until: When | None = None,
    *,
    archive: Path | str | None = None,
) -> pl.LazyFrame:
    """All calls that began in [since, until), one row each, as a LazyFrame with the schema CALLS.

    Nothing is read before it is collected; then columns, filters and `head` go to SQL. A recorder
    as source is flushed first, so that the frame has what was recorded until then. `since` and
    `until` may be datetimes with a zone, dates (midnight UTC), or text such as "7d" and
    "2026-11-01". The order of the rows is not promised.

    `archive` is a folder that `archive_calls` writes to: its calls and those of the source come as
    one, each once, also while calls are being moved. Where both have a call, SQL is right.
    """
    return lazy_frame(scan_of(source, since, until, archive), CALLS, name="calls")


def read_calls(
    source: Source,
    since: When | None = None,
    until: When | None = None,
    *,
    archive: Path | str | None = None,
) -> pl.DataFrame:
    """All calls that began in [since, until), in the order in which they began."""
    return scan_calls(source, since, until, archive=archive).sort("id").collect()


def call_batches(
    source: Source, since: When | None = None, until: When | None = None
) -> Iterator[pl.DataFrame]:
    """All calls that began in [since, until), in that order, some thousand at a time."""
    names = list(CALLS)
    period = sql_scan_of(source, since, until).period()
    statement = queries.select_calls(stored_names(names), period, oldest_first=True)
    yield from read(source, statement, names)


def latest(
    source: Source,
    n: int = 20,
    columns: Sequence[str] = tuple(CALLS),
    *,
    archive: Path | str | None = None,
) -> pl.DataFrame:
    """The last n calls, the newest first; SQL reads no others, and of an archive the last days."""
    names = list(dict.fromkeys([*columns, "id"]))
    statement = queries.select_calls(stored_names(names), limit=n, newest_first=True)
    found = pl.concat([CALLS.to_frame().select(names), *read(source, statement, names)])
    if archive is not None:
        found = with_filed(found, Path(archive), n)
    return found.select(list(columns))


def read_operation(
    source: Source, operation_id: str, *, archive: Path | str | None = None
) -> pl.DataFrame:
    """All calls of one operation, in the order in which they began."""
    stored_id = queries.uuid_text(operation_id)
    if stored_id is None:
        raise ValueError(f"{operation_id!r} is no id of an operation")
    if archive is not None:
        every = scan_calls(source, archive=archive)
        return every.filter(pl.col("operation_id") == operation_id).sort("id").collect()
    names = list(CALLS)
    statement = queries.select_calls(stored_names(names), [queries.of_operation(stored_id)])
    return pl.concat([CALLS.to_frame(), *read(source, statement, names)]).sort("id")


def count_calls(
    source: Source,
    since: When | None = None,
    until: When | None = None,
    *,
    at_most: int,
    archive: Path | str | None = None,
) -> int:
    """How many calls began in [since, until), without counting further than `at_most`."""
    if archive is not None:
        some = scan_calls(source, since, until, archive=archive).head(min(at_most, MOST_ROWS))
        return int(some.select(pl.len()).collect().item())
    statement = queries.count_calls(sql_scan_of(source, since, until).period(), at_most)
    ((count,),) = next(iter(reading.column_chunks(database(source), statement)))
    return int(count)
