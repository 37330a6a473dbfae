"""Rollups as Parquet files, a pair for each day: quicker to read than SQL, and readable by all.

`hours/` has the rows of hours and `days/` those of whole days; of each day the sums stand in one
file and the histograms in another. A day is written again when it was rolled up again.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tachograph.analytics.rollup_frames import ROLLUPS, Span, read_rows
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
        bounds = (day, day + rollups.DAY_US)
        _write(folder / "hours", Span(1, *bounds), url, runs[day])
        _write(folder / "days", Span(24, *bounds), url, runs[day])  # last: it tells the run
    return len(stale)


def _write(folder: Path, span: Span, url: str, run: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = pl.concat([ROLLUPS.to_frame(), *read_rows(url, [span], {*ROLLUPS})], how="diagonal")
    rows = rows.select(ROLLUPS.names()).sort("started_at", "measure", "model", "provider", "bucket")
    of_sums = pl.col("measure").is_null()
    for kind, part in (("sums", rows.filter(of_sums)), ("histograms", rows.filter(~of_sums))):
        target = _file(folder, span.since_us or 0, kind)
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
