"""Rollups of a database brought up to date while they are read, without storing anything.

Each hour comes from one of two places. Its rollup, where that was made of the calls that are in the
database now; else its calls, which are added up on the spot: hours since the last
`tachograph rollup`, those that changed, those of which calls were deleted or archived, and the
parts of an hour at the two ends of a period. Which is which is settled in the transaction that
reads the rollups, so no hour counts twice or not at all, whatever runs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics.frames import scan_calls
from tachograph.analytics.hourly import rolled
from tachograph.analytics.lazy_frames import Wanted
from tachograph.analytics.periods import When, instant
from tachograph.analytics.rollup_reading import Asked, Span, anded, asked, read_rows, shaped
from tachograph.analytics.rollup_schema import WHOLE_DAY
from tachograph.analytics.schema import INSTANT
from tachograph.analytics.sources import Source, database
from tachograph.core.units import from_microseconds, microseconds
from tachograph.store import reading
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
        unrolled: list[tuple[datetime, datetime]] = []

        def stored(connection: reading.Connection) -> Iterator[pl.DataFrame]:
            spans, periods = _places(connection, self.period, wanted.predicate)
            unrolled.extend(periods)
            yield from read_rows(connection, spans, look)

        for rows in reading.in_one_state(target, stored):
            yield shaped(rows, schema)
        for since, until in unrolled:
            rows = rolled(scan_calls(target, since, until), look)
            yield shaped(rows.with_columns(pl.lit(False).alias(WHOLE_DAY)), schema)


def rolled_up_calls(source: Source, since: When | None = None, until: When | None = None) -> int:
    """How many calls that began in [since, until) current rollups tell of, so that only the
    others have to be read."""
    period = period_of(since, until, whole_days=True)
    look = Asked(keys=(), summed=("calls",), measures=())

    def stored(connection: reading.Connection) -> Iterator[pl.DataFrame]:
        yield from read_rows(connection, _places(connection, period)[0], look)

    parts = reading.in_one_state(database(source), stored)
    return sum(int(rows["calls"].sum()) for rows in parts)


def period_of(since: When | None, until: When | None, *, whole_days: bool) -> Period:
    """The period between two instants as people write them."""
    now = datetime.now(UTC)
    first, last = (None if w is None else microseconds(instant(w, now=now)) for w in (since, until))
    return Period(first, last, whole_days)


def _places(
    connection: reading.Connection, period: Period, predicate: pl.Expr | None = None
) -> tuple[list[Span], list[tuple[datetime, datetime]]]:
    """The rollups to read, and the periods whose calls have to be added up."""
    known = rolled_hours(connection)
    if known is None:
        return [], []
    first, last = (
        known.first_call_us // DAY_US * DAY_US,
        (known.last_call_us // DAY_US + 1) * DAY_US,
    )
    since = first if period.since_us is None else max(period.since_us, first)
    until = last if period.until_us is None else min(period.until_us, last)
    found = _hours(known, since, until, whole_days=period.whole_days)
    for part in anded(predicate):
        if set(part.meta.root_names()) <= {*found.columns}:
            found = found.filter(part)
    spans, calls = [], []
    for length, began_us, end_us in _joined(found.select("hours", "began_us").iter_rows()):
        if length:
            spans.append(Span(length, began_us, end_us))
        else:
            ends = max(since, began_us), min(until, end_us)
            calls.append((from_microseconds(ends[0]), from_microseconds(ends[1])))
    return spans, calls


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
