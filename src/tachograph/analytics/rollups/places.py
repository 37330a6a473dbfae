"""Where each hour of a period is to be had as it is now: from its rollup, or from its calls.

Its rollup will do where that was made of the calls that are in the database: of hours that are
rolled up, have not changed since, have lost no call, and lie in the period as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics.periods import When, bounds
from tachograph.analytics.rollups.reading import Span, anded
from tachograph.analytics.rollups.schema import WHOLE_DAY
from tachograph.analytics.schema import INSTANT
from tachograph.core.units import from_microseconds, microseconds
from tachograph.store.rolled_hours import RolledHours
from tachograph.store.rollup_triggers import HOUR_US
from tachograph.store.rollups import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Period:
    """The calls that began in [since, until), in microseconds; None: no bound."""

    since_us: int | None
    until_us: int | None
    whole_days: bool
    """Whether days may come from rows of their own."""


def period_of(since: When | None, until: When | None, *, whole_days: bool) -> Period:
    """The period between two instants as people write them."""
    period = bounds(since, until, now=datetime.now(UTC))
    first, last = (None if bound is None else microseconds(bound) for bound in period)
    return Period(first, last, whole_days)


@dataclass
class Places:
    """Where each hour of a period comes from."""

    spans: list[Span] = field(default_factory=list)
    """The rollups to read."""
    calls: list[tuple[datetime, datetime]] = field(default_factory=list)
    """The periods whose calls have to be added up."""
    rolled_us: int = 0
    """What the spans come to in time, from the first call to the last."""

    @property
    def share(self) -> float:
        """Of the time that the spans are."""
        read = sum((until - since for since, until in self.calls), timedelta())
        whole = self.rolled_us + read / timedelta(microseconds=1)
        return self.rolled_us / whole if whole else 1.0


def places_of(
    known: RolledHours | None, period: Period, predicate: pl.Expr | None = None
) -> Places:
    """Where the hours come from that can pass the predicate."""
    places = Places()
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
            places.rolled_us += max(end - begin, 0)
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
