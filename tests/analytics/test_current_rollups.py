"""Rollups brought up to date while they are read, against the calls: equal at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tachograph.analytics import (
    ROLLUPS,
    Coverage,
    archive_calls,
    by_hour,
    by_model,
    rollup_coverage,
    scan_calls,
    scan_rollups,
)
from tachograph.analytics.rollups.reading import read_rows
from tachograph.analytics.scanning import sql_scan_of
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.schema import calls
from tachograph.testing import generate_calls
from tests.analytics.conftest import Store
from tests.analytics.rolled import add, assert_alike, roll, run_sql, some_calls
from tests.analytics.rows import NOON, row, stored
from tests.postgres import empty_database

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
MODULE = "tachograph.analytics.rollups.current"


def current(url: Any, *period: Any, **options: Any) -> pl.LazyFrame:
    return scan_rollups(url, *period, current=True, **options)


def counted(frame: pl.LazyFrame) -> dict[Any, int]:
    """How many calls each hour has, as calls or as rollups."""
    calls = frame if "calls" in frame.collect_schema() else frame.with_columns(calls=1)
    hour = pl.col("started_at").dt.truncate("1h")
    return dict(calls.group_by(hour).agg(pl.col("calls").sum()).collect().iter_rows())


def told(url: str, *period: Any) -> int:
    return rollup_coverage(url, *period).calls


instants = st.none() | st.integers(-60, 2400).map(lambda n: NOON + timedelta(minutes=n))
some = st.integers(0, 6)
steps = st.lists(
    st.tuples(st.just("add"), some_calls)
    | st.tuples(st.just("roll"), st.integers(0, 50))
    | st.tuples(st.sampled_from(["delete", "bill"]), some),
    min_size=1,
    max_size=8,
)


def do(url: str, step: tuple[str, Any]) -> None:
    """Calls come (some of them late), are rolled up for a part, deleted or billed later."""
    what, value = step
    which = f"WHERE started_us / 2820000000 - started_us / 2820000000 / 7 * 7 = {value}"
    if what == "add":
        add(url, *(row(**values) for values in value))
    elif what == "roll":
        roll(url, now_us=microseconds(NOON + value * HOUR))
    elif what == "delete":
        run_sql(url, f"DELETE FROM calls {which}")
    else:
        run_sql(url, f"UPDATE calls SET billed_picousd = 7 {which}")


def assert_current(url: str, since: Any = None, until: Any = None) -> None:
    assert_alike(
        lambda every: current(url, since, until, every=every), scan_calls(url, since, until)
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(course=steps, since=instants, until=instants)
def test_whatever_happened_they_say_what_the_calls_say(course: Any, since: Any, until: Any) -> None:
    with TemporaryDirectory() as folder:
        url = stored(f"sqlite:///{folder}/calls.db", [])
        for step in course:
            do(url, step)
        assert_current(url, since, until)


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(course=steps, since=instants, until=instants)
def test_on_postgresql_as_well(
    postgres_server: sa.URL, course: Any, since: Any, until: Any
) -> None:
    with empty_database(postgres_server) as url:
        stored(url, [])
        for step in course:
            do(url, step)
        assert_current(url, since, until)


def test_each_reason_for_which_an_hour_is_read_from_its_calls(store: Store) -> None:
    url = store([row(HOUR * n, model="a", latency_seconds=1.0) for n in range(50)])
    assert told(url) == 0
    assert counted(current(url)) == counted(scan_calls(url))
    roll(url, now_us=microseconds(NOON + 40 * HOUR))
    assert told(url) == 40
    add(url, row(HOUR * 3, model="late"))
    run_sql(url, "DELETE FROM calls WHERE id IN (SELECT id FROM calls ORDER BY id LIMIT 1)")
    assert told(url) == 38
    assert told(url, NOON + HOUR * 4.5, NOON + HOUR * 7.5) == 2
    assert_current(url, NOON + HOUR * 4.5, NOON + HOUR * 7.5)


def test_what_is_told_of_a_period(sqlite_store: Store) -> None:
    url = sqlite_store([row(HOUR * n, model="a") for n in range(50)])
    assert rollup_coverage(url, NOON + HOUR * 70).share == 1, "where nothing has to be read"
    assert rollup_coverage(url).share == 0
    roll(url, now_us=microseconds(NOON + 40 * HOUR))
    assert told(url) == 40
    assert rollup_coverage(url).share == pytest.approx(40 / 49)
    some = rollup_coverage(url, NOON + HOUR * 39.5, NOON + HOUR * 41.5)
    assert some == Coverage(calls=0, share=0)
    add(url, row(HOUR * 20, model="late"))
    assert rollup_coverage(url).calls == 39


@pytest.mark.parametrize("many", [1, 2])
def test_long_and_short_periods_of_calls(
    store: Store, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """The long ones in whatever way is the quickest: by other processes, where there are."""
    monkeypatch.setattr(f"{MODULE}.MANY_ROWS", many)
    monkeypatch.setattr("tachograph.store.arrow_reading.MANY_ROWS", many)
    url = store([row(HOUR * n, model="a", latency_seconds=1.0) for n in range(30)])
    roll(url, now_us=microseconds(NOON + 25 * HOUR))
    add(url, row(HOUR * 3.5), row(HOUR * 7.5))
    assert counted(current(url)) == counted(scan_calls(url))
    assert by_model(current(url)).collect()["latency_p50_seconds"].drop_nulls().len() == 1


def test_calls_that_went_without_a_trace_count_no_more(sqlite_store: Store) -> None:
    """As when the partition of the oldest days is dropped, for which no trigger is called."""
    url = sqlite_store([row(timedelta(days=n), model="a") for n in range(4)])
    roll(url)
    run_sql(url, "DROP TRIGGER calls_rollup_delete")
    run_sql(url, "DELETE FROM calls WHERE id < (SELECT max(id) FROM calls)")
    assert counted(current(url)) == {NOON + timedelta(days=3): 1}
    run_sql(url, "DELETE FROM calls")
    assert current(url).collect().schema == ROLLUPS
    assert told(url) == 0


def test_neither_calls_nor_histograms_are_read_that_nobody_asks_for(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_store([row(HOUR * n, model="a", latency_seconds=1) for n in range(50)])
    roll(url, now_us=microseconds(NOON + 40 * HOUR))
    frame = current(url)
    asked: list[Any] = []

    def scanned(*of: Any) -> Any:
        asked.append(of[1:])
        return sql_scan_of(*of)

    def reading(connection: Any, spans: Any, look: Any) -> Iterator[pl.DataFrame]:
        asked.append(look.measures)
        return read_rows(connection, spans, look)

    monkeypatch.setattr(f"{MODULE}.sql_scan_of", scanned)
    monkeypatch.setattr(f"{MODULE}.read_rows", reading)
    early = frame.filter(pl.col("started_at") < NOON + HOUR * 10)
    assert early.select(pl.col("calls").sum()).collect().item() == 10
    assert asked == [()], "rolled up hours alone, and no histogram"
    late = frame.filter(pl.col("started_at") >= NOON + HOUR * 45, pl.col("measure").is_null())
    assert late.select(pl.col("calls").sum()).collect().item() == 5
    assert asked[1:] == [(), (NOON + HOUR * 45, NOON + HOUR * 49 + MOMENT)]


def test_whatever_is_done_between_two_looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late calls, a run, and all rollups gone after it was settled which hours come from where."""
    url = store([row(HOUR * n, model="a") for n in range(50)])
    roll(url, now_us=microseconds(NOON + 40 * HOUR))
    add(url, row(HOUR * 3 + timedelta(seconds=1)))
    before = counted(scan_calls(url))

    def meanwhile(connection: Any, spans: Any, look: Any) -> Iterator[pl.DataFrame]:
        add(url, row(HOUR * 5 + timedelta(seconds=1)), row(HOUR * 41 + timedelta(seconds=1)))
        roll(url)
        run_sql(url, "DELETE FROM rollups")
        yield from read_rows(connection, spans, look)

    monkeypatch.setattr(f"{MODULE}.read_rows", meanwhile)
    assert counted(current(url)) == before, "as all was when it was settled"
    assert counted(scan_calls(url)) != before


def test_beside_a_writer_a_run_and_an_archive(store: Store, tmp_path: Path) -> None:
    """Each hour has as many calls as it had at some moment while they were read."""
    rows = [row(HOUR * n, model="a", latency_seconds=1.0) for n in range(24 * 6)]
    url = store(rows)
    done = Event()
    problems: list[BaseException] = []

    def until_done(work: Any) -> Any:
        def run() -> None:
            try:
                for n in range(10**9):
                    if done.is_set():
                        return
                    work(n)
            except BaseException as error:
                problems.append(error)

        return Thread(target=run)

    def write(n: int) -> None:
        hours = 24 * 4 + n * 7 % 48  # late and new ones, of days that are not archived
        add(url, row(HOUR * hours + timedelta(seconds=1 + n), model="b", latency_seconds=2.0))

    def run(n: int) -> None:
        roll(url, now_us=microseconds(NOON + HOUR * (24 * 3 + n % 72)))

    def archive(n: int) -> None:
        if n < 4:
            archive_calls(url, NOON + timedelta(days=n), tmp_path / "archive")

    threads = [until_done(write), until_done(run), until_done(archive)]
    for thread in threads:
        thread.start()
    try:
        for n in range(8):
            before = counted(scan_calls(url))
            every = "day" if n % 2 else "hour"
            frame = current(url, every=every).collect()
            after = counted(scan_calls(url))
            if every == "day":
                total = frame["calls"].sum()
                low = sum(min(before.get(h, 0), after.get(h, 0)) for h in before | after)
                high = sum(max(before.get(h, 0), after.get(h, 0)) for h in before | after)
                assert low <= total <= high
                continue
            found = counted(frame.lazy())
            for hour in before | after | found:
                ends = sorted((before.get(hour, 0), after.get(hour, 0)))
                assert ends[0] <= found.get(hour, 0) <= ends[1], hour
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert_current(url)


def test_an_engine_of_the_callers_own(tmp_path: Path) -> None:
    url = stored(f"sqlite:///{tmp_path}/calls.db", [row(HOUR * n, model="a") for n in range(5)])
    roll(url, now_us=microseconds(NOON + 3 * HOUR))
    add(url, row(1, model="b"))
    engine = sa.create_engine(url)
    assert_frame_equal(by_hour(current(engine)).collect(), by_hour(current(url)).collect())
    assert by_model(current(engine)).collect()["calls"].sum() == 6
    engine.dispose()


def test_a_memory_database() -> None:
    """Whose one connection two scans of a query want."""
    engine = open_engine("sqlite://")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            calls.insert(), [row(HOUR * n, model="a", latency_seconds=1) for n in range(5)]
        )
    report = by_model(current(engine)).collect()
    assert report.select("calls", "latency_p50_seconds").row(0) == (5, pytest.approx(1, rel=0.01))
    engine.dispose()


def test_files_have_no_calls_beside_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only a database"):
        current(tmp_path)


def test_a_month_of_calls(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    generate_calls(3000, seed=1, to=url)
    roll(url, now_us=microseconds(NOON - timedelta(days=3)))
    run_sql(url, "UPDATE calls SET spent_picousd = 1 WHERE provider IS NULL")
    assert 0 < told(url) < 3000
    assert_current(url)
    assert by_model(current(url)).collect()["spent_usd"].sum() > Decimal(0)
