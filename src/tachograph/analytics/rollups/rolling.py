"""Brings the rollups of a database up to date with its calls.

Only the hours that changed are read again, a day at a time, and each day is stored as a whole or
not at all: a run that is broken off is taken up by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tachograph.analytics.frames import scan_calls
from tachograph.analytics.rollups.frames import stored_rollups
from tachograph.analytics.rollups.hourly import rolled
from tachograph.analytics.rollups.reading import Span
from tachograph.analytics.rollups.rows import stored_rows
from tachograph.core.units import from_microseconds
from tachograph.store import rollups
from tachograph.store.rollup_triggers import HOUR_US
from tachograph.store.writing import writing


@dataclass(frozen=True)
class RolledUp:
    """What one run did."""

    days: int
    """How many days were stored, of which some or all hours were new or changed."""
    calls: int
    """How many calls were read for it."""
    left_hours: int
    """Hours that changed, of whose calls some are no longer in the database: left as they were."""


def roll_up(
    url: str,
    *,
    archive: Path | None = None,
    progress: Callable[[int], object] | None = None,
    now_us: int | None = None,
) -> RolledUp:
    """Brings the rollups of this database up to date; cheap when little has changed.

    Calls that were moved into `archive` are read from there. `progress` is told after each day
    how many calls it had. StoreError when the database fails, or when another run begins.
    """
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    with writing(url) as engine:
        run = rollups.begin(engine, now_us // HOUR_US * HOUR_US)
    days = calls = 0
    left: set[int] = set()
    for day_us, hours in _days(url, run, archive):
        mine = hours if archive is not None else hours - run.gaps
        left |= (hours & run.changes.keys()) - mine
        if not mine:
            continue
        count, lost = _roll_day(url, run, day_us, mine, archive)
        left |= lost
        days, calls = days + 1, calls + count
        if progress is not None:
            progress(count)
    with writing(url) as engine:
        rollups.finish(engine, run, now_us // HOUR_US * HOUR_US)
    return RolledUp(days, calls, len(left))


def _days(url: str, run: rollups.Run, archive: Path | None) -> Iterator[tuple[int, set[int]]]:
    """The days with something to do, and the hours of each."""
    changed: dict[int, set[int]] = {}
    for hour in run.changes:
        changed.setdefault(_day(hour), set()).add(hour)
    fresh = _day(run.rolled_until_us)
    yield from ((day, hours) for day, hours in sorted(changed.items()) if day < fresh)
    at = run.rolled_until_us
    later = sorted(day for day in changed if day >= fresh)
    while True:
        with writing(url) as engine:
            began_us = rollups.next_call_us(engine, at)
        days = [_day(us) for us in (began_us, *later[:1]) if us is not None]
        if not days:
            return
        day = min(days)
        later = [other for other in later if other > day]
        new = set(range(max(day, run.rolled_until_us), day + rollups.DAY_US, HOUR_US))
        yield day, new | changed.get(day, set())
        at = max(at, day + rollups.DAY_US)


def _roll_day(
    url: str, run: rollups.Run, day_us: int, hours: Collection[int], archive: Path | None
) -> tuple[int, set[int]]:
    """How many calls were read, and the hours that were left, since calls of them are missing."""
    period = (from_microseconds(min(hours)), from_microseconds(max(hours) + HOUR_US))
    fresh = rolled(scan_calls(url, *period, archive=archive))
    fresh = fresh.filter(_hour_us().is_in(list(hours)))
    kept = stored_rollups(url, Span(1, day_us, day_us + rollups.DAY_US))
    before = _calls_of_hours(kept)
    after = _calls_of_hours(fresh)
    lost = {hour for hour in hours if after.get(hour, 0) < before.get(hour, 0)}
    done = set(hours) - lost
    fresh = fresh.filter(~_hour_us().is_in(list(lost)))
    of_day = pl.concat([kept.filter(~_hour_us().is_in(list(done))), fresh])
    whole = of_day.with_columns(pl.col("started_at").dt.truncate("1d"))
    with writing(url) as engine:
        if lost:
            rollups.note_gaps(engine, sorted(lost))
        if done:
            rows = [*stored_rows(1, fresh), *stored_rows(24, whole)]
            rollups.replace(engine, run, day_us, done, rows)
    return sum(after.values()), lost


def _calls_of_hours(rows: pl.DataFrame) -> dict[int, int]:
    return dict(rows.group_by(hour=_hour_us()).agg(pl.col("calls").sum()).iter_rows())


def _hour_us() -> pl.Expr:
    return pl.col("started_at").dt.epoch("us")


def _day(us: int) -> int:
    return us // rollups.DAY_US * rollups.DAY_US
