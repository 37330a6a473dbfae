"""Rollups as Parquet files, a pair for each day: quicker to read than SQL, and readable by all.

`hours/` has the rows of hours and `days/` those of whole days; of each day the sums stand in one
file and the histograms in another. A day is written again when it was rolled up again.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tachograph.analytics.rollups.frames import stored_rollups
from tachograph.analytics.rollups.reading import Span
from tachograph.analytics.rollups.schema import KEYS
from tachograph.core.units import from_microseconds
from tachograph.store import reading, rollups

_RUN = "tachograph_run"


def write_rollups(url: str, folder: Path) -> int:
    """Writes the days that changed since they were written; how many they were.

    A file is there as a whole or not at all. StoreError when the database fails.
    """
    with reading.reading(url) as engine:
        runs = rollups.runs_of_days(engine)
    stale = [day for day, run in runs.items() if _written_run(folder, day) != run]
    for day in stale:
        hours, whole = (stored_rollups(url, Span(n, day, day + rollups.DAY_US)) for n in (1, 24))
        write_day(folder, day, hours, whole, run=runs[day])
    return len(stale)


def write_day(
    folder: Path, day_us: int, hours: pl.DataFrame, whole: pl.DataFrame, *, run: int
) -> None:
    """Writes the rollups of one day: those of its hours and those of the whole."""
    _write(folder / "hours", day_us, hours, run)
    _write(folder / "days", day_us, whole, run)  # last: it tells the run


def _write(folder: Path, day_us: int, rows: pl.DataFrame, run: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows.sort("started_at", "measure", *KEYS, "bucket")
    of_sums = pl.col("measure").is_null()
    for kind, part in (("sums", rows.filter(of_sums)), ("histograms", rows.filter(~of_sums))):
        target = _file(folder, day_us, kind)
        written = target.with_suffix(".part")
        part.write_parquet(
            written, compression="zstd", statistics="full", metadata={_RUN: str(run)}
        )
        written.replace(target)


def _written_run(folder: Path, day_us: int) -> int | None:
    try:
        found = pl.read_parquet_metadata(_file(folder / "days", day_us, "histograms"))
    except FileNotFoundError:
        return None
    return int(found[_RUN])


def _file(folder: Path, day_us: int, kind: str) -> Path:
    return folder / f"{from_microseconds(day_us):%Y-%m-%d}.{kind}.parquet"
