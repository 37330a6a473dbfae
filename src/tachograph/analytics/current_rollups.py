"""Rollups of a database brought up to date while they are read, without storing anything.

Each hour comes from one of two places. Its rollup, where that was made of the calls that are in the
database now; else its calls, which are added up on the spot: hours since the last
`tachograph rollup`, those that changed, those of which calls were deleted or archived, and the
parts of an hour at the two ends of a period. Which is which is settled in the transaction that
reads the rollups, so no hour counts twice or not at all, whatever runs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.analytics.hourly import rolled
from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.periods import When, instant
from tachograph.analytics.rollup_reading import Asked, Span, anded, asked, read_rows, shaped
from tachograph.analytics.rollup_schema import WHOLE_DAY
from tachograph.analytics.scanning import Scan, sql_scan_of
from tachograph.analytics.schema import CALLS, INSTANT, declared, stored_frame, stored_names
from tachograph.analytics.sources import Source, database
from tachograph.core.units import from_microseconds, microseconds
from tachograph.store import queries, reading
from tachograph.store.arrow_reading import MANY_ROWS
from tachograph.store.rolled_hours import RolledHours, rolled_hours
from tachograph.store.rollup_triggers import HOUR_US
from tachograph.store.rollups import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Period:
    """The calls that began in [since, until), in microseconds; None: no bound."""

    since_us: int | None
    until_us: int | None
    whole_days: bool
    """Whether days may come from rows of their own."""


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
            places = _places(connection, self.period, wanted.predicate)
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
        places = _places(connection, period)
        shares.append(places.share)
        yield from read_rows(connection, places.spans, look)

    parts = reading.in_one_state(database(source), read)
    return Coverage(sum(int(rows["calls"].sum()) for rows in parts), *shares)


def period_of(since: When | None, until: When | None, *, whole_days: bool) -> Period:
    """The period between two instants as people write them."""
    now = datetime.now(UTC)
    first, last = (None if w is None else microseconds(instant(w, now=now)) for w in (since, until))
    return Period(first, last, whole_days)


def _calls_of(
    connection: reading.Connection, target: Any, periods: list[tuple[datetime, datetime]]
) -> pl.LazyFrame:
    """The calls of several periods: of one in which they are many, in the quickest way; the others
    by this connection, since there may be hundreds of short ones."""

    def read(wanted: Wanted) -> Iterator[pl.DataFrame]:
        for since, until in periods:
            scan = sql_scan_of(target, since, until)
            if isinstance(target, str) and _are_many(connection, scan):
                yield from scan(wanted)
                continue
            for columns in reading.chunks(connection, scan.statement(wanted)):
                stored = stored_frame(stored_names(wanted.needed), columns)
                yield declared(stored, wanted.needed)

    return lazy_frame(read, CALLS, name="calls")


def _are_many(connection: reading.Connection, scan: Scan) -> bool:
    statement = queries.count_calls(scan.period(), MANY_ROWS)
    return connection.execute(statement).scalar() == MANY_ROWS


@dataclass
class _Places:
    """Where each hour of a period comes from."""

    spans: list[Span] = field(default_factory=list)
    """The rollups to read."""
    calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    """The periods whose calls have to be added up."""
    rolled_us: int = 0
    """What the spans come to in time."""

    @property
    def share(self) -> float:
        """Of the time that the spans are."""
        read = sum((until - since for since, until in self.calls), timedelta())
        whole = self.rolled_us + read / timedelta(microseconds=1)
        return self.rolled_us / whole if whole else 1.0


def _places(
    connection: reading.Connection, period: Period, predicate: pl.Expr | None = None
) -> _Places:
    places, known = _Places(), rolled_hours(connection)
    if known is None:
        return places
    first = known.first_call_us // DAY_US * DAY_US
    last = (known.last_call_us // DAY_US + 1) * DAY_US
    since = first if period.since_us is None else max(period.since_us, first)
    until = last if period.until_us is None else min(period.until_us, last)
    found = _hours(known, since, until, whole_days=period.whole_days)
    for part in anded(predicate):
        if set(part.meta.root_names()) <= {*found.columns}:
            found = found.filter(part)
    for length, began_us, end_us in _joined(found.select("hours", "began_us").iter_rows()):
        begin = max(since, began_us, known.first_call_us)
        end = min(until, end_us, known.last_call_us + 1)
        if length:
            places.spans.append(Span(length, began_us, end_us))
            places.rolled_us += end_us - began_us
        elif begin < end:
            places.calls.append((from_microseconds(begin), from_microseconds(end)))
    return places


def _hours(known: RolledHours, since_us: int, until_us: int, *, whole_days: bool) -> pl.DataFrame:
    """Each hour or day of a period: `started_at`, `whole_day`, and of how many `hours` its rollups
    are: 0 where it has to be made of calls."""
    first = since_us // HOUR_US * HOUR_US
    began, day = pl.col("began_us"), pl.col("began_us") // DAY_US
    good = (
        began.is_between(since_us, until_us - HOUR_US)
        & (began < known.rolled_until_us)
        & ~began.is_in(known.stale)
    )
    whole = (good.sum().over(day) == 24) & whole_days
    hours = pl.DataFrame({"began_us": pl.int_range(first, until_us, HOUR_US, eager=True)})
    return (
        hours.with_columns(good.cast(pl.Int8).alias("hours"), whole.alias(WHOLE_DAY))
        .filter(~pl.col(WHOLE_DAY) | (began % DAY_US == 0))
        .with_columns(
            began.cast(INSTANT).alias("started_at"),
            pl.when(WHOLE_DAY).then(24).otherwise("hours").alias("hours"),
        )
    )


def _joined(hours: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Those that follow each other and come from the same place as one: whence, begin and end."""
    joined: list[list[int]] = []
    for length, began_us in hours:
        end_us = began_us + max(length, 1) * HOUR_US
        if joined and (joined[-1][0], joined[-1][2]) == (length, began_us):
            joined[-1][2] = end_us
        else:
            joined.append([length, began_us, end_us])
    return joined
