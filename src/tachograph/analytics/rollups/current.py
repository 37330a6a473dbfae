"""Rollups of a database brought up to date while they are read, without storing anything.

Each hour comes from one of two places. Its rollup, where that was made of the calls that are in the
database now; else its calls, which are added up on the spot: hours since the last
`tachograph rollup`, those that changed, those of which calls were deleted or archived, and the
parts of an hour at the two ends of a period. Which is which is settled in the transaction that
reads the rollups, so no hour counts twice or not at all, whatever runs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.periods import When
from tachograph.analytics.rollups.hourly import rolled
from tachograph.analytics.rollups.places import Period, period_of, places_of
from tachograph.analytics.rollups.reading import Asked, asked, read_rows, shaped
from tachograph.analytics.rollups.schema import WHOLE_DAY
from tachograph.analytics.scanning import Scan, sql_scan_of
from tachograph.analytics.schema import CALLS, declared, stored_frame, stored_names
from tachograph.analytics.sources import Source, database
from tachograph.store import queries, reading
from tachograph.store.arrow_reading import MANY_ROWS
from tachograph.store.rolled_hours import rolled_hours

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class CurrentScan:
    """Reads current rollups of a period."""

    source: Source
    period: Period
    schema: pl.Schema

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        target, look = database(self.source), asked(wanted)
        schema = pl.Schema({name: self.schema[name] for name in wanted.needed})

        def read(connection: reading.Connection) -> Iterator[pl.DataFrame]:
            places = places_of(rolled_hours(connection), self.period, wanted.predicate)
            for rows in read_rows(connection, places.spans, look):
                yield shaped(rows, schema)
            if places.calls:
                rows = rolled(_calls_of(connection, target, places.calls), look)
                yield shaped(rows.with_columns(pl.lit(False).alias(WHOLE_DAY)), schema)

        yield from reading.in_one_state(target, read)


@dataclass(frozen=True)
class Coverage:
    """What current rollups tell of a period."""

    calls: int
    """Of so many calls; all others have to be read."""
    share: float
    """Of the time from the first call to the last; 1 when there is none."""


def rollup_coverage(
    source: Source, since: When | None = None, until: When | None = None
) -> Coverage:
    """What current rollups tell of the calls that began in [since, until); reads no calls."""
    period = period_of(since, until, whole_days=True)
    look = Asked(keys=(), summed=("calls",), measures=())
    shares: list[float] = []

    def read(connection: reading.Connection) -> Iterator[pl.DataFrame]:
        places = places_of(rolled_hours(connection), period)
        shares.append(places.share)
        yield from read_rows(connection, places.spans, look)

    parts = reading.in_one_state(database(source), read)
    return Coverage(sum(int(rows["calls"].sum()) for rows in parts), *shares)


def _calls_of(
    connection: reading.Connection, target: Any, periods: list[tuple[datetime, datetime]]
) -> pl.LazyFrame:
    """The calls of several periods: of one in which they are many, in the quickest way; the others
    by this connection, since there may be hundreds of short ones."""

    def read(wanted: Wanted) -> Iterator[pl.DataFrame]:
        for since, until in periods:
            scan = sql_scan_of(target, since, until)
            if not isinstance(target, reading.Engine) and _are_many(connection, scan):
                yield from scan(wanted)
                continue
            for columns in reading.chunks(connection, scan.statement(wanted)):
                stored = stored_frame(stored_names(wanted.needed), columns)
                yield declared(stored, wanted.needed)

    return lazy_frame(read, CALLS, name="calls")


def _are_many(connection: reading.Connection, scan: Scan) -> bool:
    statement = queries.count_calls(scan.period(), MANY_ROWS)
    return connection.execute(statement).scalar() == MANY_ROWS
