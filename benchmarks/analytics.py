"""How fast reports are: ours beside DuckDB on the same files and beside reading everything.

    python benchmarks/analytics.py [--folder DIR] [--calls 1000000] [--sqlite] [--rollups]

Each line is measured in a process of its own: the median of the rounds after one that warms up, the
time that processors worked for it (what counts on a busy machine), and the most memory that the
process had beyond that of its imports, without that of processes that read for it. Made-up calls
(`generate_calls`) are put into DIR once and found there by the next run: a Parquet file for each
million and an archive's file for each day, with `--sqlite` a database with as many and their
rollups, and with `--rollups` the rollups of a hundred million: ten million calls ten times, their
times stretched by chance each time. Everything is read only of a million calls: ten million would
take 22 GB.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from tachograph.analytics import (
    by_day,
    by_hour,
    by_model,
    by_model_and_provider,
    read_calls,
    scan_calls,
    scan_rollups,
)
from tachograph.analytics.day_files import COMPRESSION_LEVEL, ROW_GROUP_ROWS, as_filed, path_of
from tachograph.analytics.rollups.files import write_day
from tachograph.analytics.rollups.hourly import added, rolled
from tachograph.analytics.rollups.rolling import roll_up
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.testing import generate_calls

MILLION = 1_000_000
DUCKDB = """
    SELECT model, provider, count(*), count(*) FILTER (outcome = 'failed'),
        quantile_disc(latency_seconds, [0.5, 0.95, 0.99])
            FILTER (outcome = 'completed' AND cache_status IS DISTINCT FROM 'HIT'),
        quantile_disc(first_token_seconds, [0.5, 0.95])
            FILTER (outcome = 'completed' AND cache_status IS DISTINCT FROM 'HIT'),
        sum(input_tokens), sum(output_tokens), sum(cache_read_input_tokens),
        sum(reasoning_output_tokens), sum(billed_usd), sum(computed_usd), sum(spent_usd)
    FROM read_parquet({files}) GROUP BY ALL
"""


def files(folder: Path, count: int) -> list[Path]:
    """A Parquet file for each million calls."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [folder / f"calls-{seed}.parquet" for seed in range(count // MILLION)]
    for seed, file in enumerate(found):
        if not file.exists():
            words = pl.col("outcome", "cost_source").cast(pl.String)
            generate_calls(MILLION, seed).with_columns(words).write_parquet(file)
    return found


def archive(folder: Path, count: int) -> Path:
    """The same calls in the files of an archive."""
    target = folder / f"archive-{count}"
    if target.exists():
        return target
    calls = pl.scan_parquet(files(folder, count))
    for day in calls.select(pl.col("started_at").dt.date().unique()).collect().to_series():
        of_day = calls.filter(pl.col("started_at").dt.date() == day).sort("id").collect()
        file = path_of(target, day)
        file.parent.mkdir(parents=True)
        as_filed(of_day).write_parquet(
            file, compression_level=COMPRESSION_LEVEL, row_group_size=ROW_GROUP_ROWS
        )
    print(f"an archive of {count:,} calls takes {size(target) / count:.0f} B each")
    return target


def database(folder: Path, count: int) -> str:
    """The URL of a SQLite file with so many calls."""
    file = folder / f"calls-{count}.db"
    if not file.exists():
        begun = time.perf_counter()
        generate_calls(count, to=f"sqlite:///{file}")
        seconds = time.perf_counter() - begun
        print(
            f"made {count:,} calls in SQLite in {seconds:,.0f} s, {size(file) / count:.0f} B each"
        )
    url = f"sqlite:///{file}"
    begun = time.perf_counter()
    if calls := roll_up(url).calls:
        print(f"rolled up {calls:,} calls of it in {time.perf_counter() - begun:,.0f} s")
    return url


def rollups(folder: Path) -> Path:
    """A folder with the rollups of a hundred million calls."""
    target = folder / "rollups"
    if target.exists():
        return target
    begun = time.perf_counter()
    times = pl.col("latency_seconds", "first_token_seconds")
    day = pl.col("started_at").dt.truncate("1d")
    calls = pl.scan_parquet(files(folder, 10 * MILLION))
    choose = random.Random(0)
    for began in calls.select(day.unique()).collect().to_series():
        lasts = pl.col("started_at").is_between(began, began + timedelta(days=1), closed="left")
        of_day = calls.filter(lasts).collect().lazy()
        stretched = (of_day.with_columns(times * choose.uniform(0.5, 1.5)) for _ in range(10))
        hours = added(pl.concat(map(rolled, stretched)))
        whole = added(hours.with_columns(day))
        write_day(target, microseconds(began), hours, whole, run=1)
    seconds = time.perf_counter() - begun
    sizes = {part: size(target / part) / MILLION for part in ("hours", "days")}
    print(f"rolled up 100,000,000 calls in {seconds:,.0f} s: {sizes} MB")
    return target


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(map(size, path.iterdir()))


def works(folder: Path, count: int) -> dict[str, Callable[[], Any]]:
    """What is measured, by its name; a work is prepared when it is taken."""
    parquet = [str(file) for file in files(folder, count)]
    url = f"sqlite:///{folder / f'calls-{count}.db'}"
    stored = folder / "rollups"
    moved, nothing = folder / f"archive-{count}", f"sqlite:///{folder / 'empty.db'}"
    upgrade(open_engine(nothing))

    def of_files(**options: Any) -> Any:
        return by_model_and_provider(pl.scan_parquet(parquet), **options).collect()

    def in_duckdb() -> Any:
        return duckdb.execute(DUCKDB.format(files=parquet)).fetchall()

    def newest() -> Any:
        return pl.scan_parquet(parquet[-1]).select(pl.col("started_at").max()).collect().item()

    def last_day() -> Any:
        return by_model(scan_calls(url, newest() - timedelta(days=1))).collect()

    def of_archive(since: Any = None, **options: Any) -> Any:
        calls = scan_calls(nothing, since, archive=moved)
        return by_model_and_provider(calls, **options).collect()

    return {
        "parquet exact": of_files,
        "parquet 1 %": lambda: of_files(quantiles="histogram"),
        "parquet DuckDB exact": in_duckdb,
        "parquet read everything": lambda: by_model_and_provider(pl.read_parquet(parquet)),
        "archive exact": of_archive,
        "archive 1 %": lambda: of_archive(quantiles="histogram"),
        "archive last day": lambda: of_archive(newest() - timedelta(days=1)),
        "sqlite last day by model": last_day,
        "sqlite model x provider 1 %": lambda: by_model_and_provider(
            scan_calls(url), quantiles="histogram"
        ).collect(),
        "sqlite model x provider exact": lambda: by_model_and_provider(scan_calls(url)).collect(),
        "sqlite model x provider 1 %, rollups": lambda: by_model_and_provider(
            scan_rollups(url, every="day", current=True)
        ).collect(),
        "sqlite by hour 1 %, rollups": lambda: by_hour(scan_rollups(url, current=True)).collect(),
        "sqlite head(100)": lambda: scan_calls(url).head(100).collect(),
        "sqlite read everything": lambda: by_model_and_provider(read_calls(url)),
        "rollups 100M by model, days": lambda: by_model(
            scan_rollups(stored, every="day")
        ).collect(),
        "rollups 100M by day": lambda: by_day(scan_rollups(stored, every="day")).collect(),
        "rollups 100M by model, hours": lambda: by_model(scan_rollups(stored)).collect(),
        "rollups 100M by hour": lambda: by_hour(scan_rollups(stored)).collect(),
    }


def measure(work: Callable[[], Any], rounds: int) -> tuple[float, float, float]:
    """Seconds, seconds of processors, and megabytes beyond those of the imports."""
    gc.collect()
    before = peak_mb()
    seconds, busy = [], []
    for _ in range(rounds + 1):
        begun, worked = time.perf_counter(), sum(os.times()[:4])
        work()
        seconds.append(time.perf_counter() - begun)
        busy.append(sum(os.times()[:4]) - worked)
    return statistics.median(seconds[1:]), statistics.median(busy[1:]), peak_mb() - before


def peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where `ru_maxrss` begins with that of the parent
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found
        return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("analytics-benchmark"))
    parser.add_argument("--calls", type=int, default=MILLION, help="a multiple of a million")
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--rollups", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="a part of the names of what is measured")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        work = works(asked.folder, asked.calls)[asked.one]
        print(json.dumps(measure(work, asked.rounds)))
        return
    archive(asked.folder, asked.calls)
    if asked.sqlite:
        database(asked.folder, asked.calls)
    if asked.rollups:
        rollups(asked.folder)
    print(f"\n| {asked.calls:,} calls | s | CPU s | MB |\n|---|--:|--:|--:|")
    for name in works(asked.folder, asked.calls):
        kind = name.split()[0]
        skipped = kind in ("sqlite", "rollups") and not getattr(asked, kind)
        too_large = "read everything" in name and asked.calls > MILLION
        if skipped or too_large or (asked.only and asked.only not in name):
            continue
        again = [sys.executable, *sys.argv, "--one", name]
        ran = subprocess.run(again, capture_output=True, text=True, check=True)
        seconds, busy, megabytes = json.loads(ran.stdout)
        print(f"| {name} | {seconds:.3f} | {busy:.2f} | {megabytes:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
