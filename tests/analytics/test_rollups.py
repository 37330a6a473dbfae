"""Rollups against the calls themselves: equal sums, the same histograms, and nothing forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tachograph.analytics import (
    ROLLUPS,
    RolledUp,
    by,
    by_day,
    by_hour,
    by_model,
    by_session,
    roll_up,
    scan_calls,
    scan_rollups,
    write_rollups,
)
from tachograph.core.units import microseconds
from tachograph.errors import StoreError
from tachograph.store import rollups
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.rollup_triggers import ADVISORY_LOCK
from tachograph.store.schema import calls
from tachograph.testing import generate_calls
from tests.analytics.conftest import Store
from tests.analytics.rolled import LATER, add, assert_alike, roll, run_sql, some_calls
from tests.analytics.rows import NOON, row

HOUR = timedelta(hours=1)


def assert_like_the_calls(source: str, folder: Path | None = None) -> None:
    """What rollups say is what the calls say."""
    assert_alike(lambda every: scan_rollups(folder or source, every=every), scan_calls(source))


def test_generated_calls_are_rolled_up_exactly(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    generate_calls(3000, seed=1, to=url)
    done = roll_up(url)
    assert (done.calls, done.left_hours) == (3000, 0)
    assert_like_the_calls(url)
    assert roll_up(url) == RolledUp(days=0, calls=0, left_hours=0)
    assert write_rollups(url, tmp_path / "files") == done.days
    assert_like_the_calls(url, tmp_path / "files")


def test_on_each_database(store: Store) -> None:
    url = store(
        [
            row(
                0, model="a", provider="P", name="n", latency_seconds=1.0, spent_picousd=Decimal(1)
            ),
            row(HOUR, model="a", outcome="failed"),
            row(timedelta(days=1), latency_seconds=0.0, stream=True, first_token_seconds=0.5),
        ]
    )
    assert roll(url) == RolledUp(days=2, calls=3, left_hours=0)
    assert_like_the_calls(url)
    add(url, row(1, model="a", provider="P", name="n", spent_picousd=Decimal("1e-12")))
    run_sql(url, "UPDATE calls SET spent_picousd = 7 WHERE outcome = 'failed'")
    assert roll(url) == RolledUp(days=1, calls=3, left_hours=0)
    assert_like_the_calls(url)
    assert roll(url).days == 0
    run_sql(url, "DELETE FROM calls")
    assert roll(url) == RolledUp(days=0, calls=0, left_hours=0)
    assert by_model(scan_rollups(url)).collect()["calls"].sum() == 4


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=some_calls, cuts=st.lists(st.integers(0, 30), max_size=3), random=st.randoms())
def test_whatever_comes_in_whatever_order(rows: list[Any], cuts: list[int], random: Any) -> None:
    """Rolled up between the batches, of which the later hold calls of hours that were done."""
    random.shuffle(rows)
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/calls.db"
        engine = open_engine(url)
        upgrade(engine)
        engine.dispose()
        bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
        for first, last in pairwise(bounds):
            if batch := [row(**values) for values in rows[first:last]]:
                add(url, *batch)
            roll(url)
        assert_like_the_calls(url)


def test_money_beyond_what_a_column_holds(sqlite_store: Store) -> None:
    most = Decimal(2**63 - 1).scaleb(-12)
    url = sqlite_store([row(n, model="a", spent_picousd=most) for n in range(5)])
    roll(url)
    assert by_model(scan_rollups(url)).collect()["spent_usd"].item() == most * 5
    assert_like_the_calls(url)


def test_the_current_hour_is_rolled_up_each_time(sqlite_store: Store) -> None:
    url = sqlite_store([row(0, model="a")])
    now_us = microseconds(NOON + timedelta(minutes=30))
    for expected in (1, 2, 3):
        assert roll_up(url, now_us=now_us) == RolledUp(days=1, calls=expected, left_hours=0)
        assert by_model(scan_rollups(url)).collect()["calls"].item() == expected
        add(url, row(expected, model="a"))


def test_deleted_calls_stay_in_the_sums(sqlite_store: Store) -> None:
    url = sqlite_store([row(0, model="a"), row(1, model="a"), row(HOUR, model="b")])
    roll(url)
    run_sql(url, "DELETE FROM calls WHERE id = (SELECT min(id) FROM calls)")
    add(url, row(2, model="a"), row(HOUR + timedelta(seconds=1), model="b"))
    assert roll(url) == RolledUp(days=1, calls=2, left_hours=1)
    counts = by_model(scan_rollups(url)).collect()
    assert dict(counts.select("model", "calls").iter_rows()) == {"a": 2, "b": 2}
    assert roll(url).left_hours == 1, "it is told each time"


def test_calls_that_went_without_a_trace_stay_in_the_sums(sqlite_store: Store) -> None:
    """As when a partition is dropped, for which no trigger is called."""
    url = sqlite_store([row(n, model="a") for n in range(3)])
    roll(url)
    run_sql(url, "DROP TRIGGER calls_rollup_delete")
    run_sql(url, "DELETE FROM calls")
    add(url, row(9, model="a"))
    assert roll(url).left_hours == 1
    assert roll(url).left_hours == 1
    assert by_model(scan_rollups(url)).collect()["calls"].item() == 3


def test_archived_calls_and_late_ones(tmp_path: Path) -> None:
    from tachograph.analytics import archive_calls

    url = f"sqlite:///{tmp_path}/calls.db"
    folder = tmp_path / "archive"
    generate_calls(400, seed=2, to=url)
    before = scan_calls(url).select("started_at").min().collect().item()
    middle = datetime(before.year, before.month, 10, tzinfo=UTC)
    roll_up(url)
    whole = by_model(scan_rollups(url)).collect()
    archive_calls(url, middle, folder)
    assert roll_up(url) == RolledUp(days=0, calls=0, left_hours=0)
    assert_frame_equal(by_model(scan_rollups(url)).collect(), whole)
    late = row(before + timedelta(seconds=1) - NOON, model="late")
    add(url, late)
    assert roll_up(url).left_hours == 1
    assert_frame_equal(by_model(scan_rollups(url)).collect(), whole)
    assert roll_up(url, archive=folder).left_hours == 0
    expected = by_model(scan_calls(url, archive=folder), quantiles="histogram").collect()
    found = by_model(scan_rollups(url)).collect()
    assert_frame_equal(found, expected, rel_tol=1e-9)


def test_an_archive_that_was_there_before_the_first_rollup(tmp_path: Path) -> None:
    from tachograph.analytics import archive_calls

    url = f"sqlite:///{tmp_path}/calls.db"
    generate_calls(200, seed=2, to=url)
    archive_calls(url, datetime(2026, 10, 10, tzinfo=UTC), tmp_path / "archive")
    left = roll_up(url)
    assert left.left_hours > 0
    assert roll_up(url, archive=tmp_path / "archive").left_hours == 0
    assert by_model(scan_rollups(url)).collect()["calls"].sum() == 200


def test_a_later_run_takes_over(sqlite_store: Store) -> None:
    url = sqlite_store([row(0, model="a")])
    engine = open_engine(url)
    first = rollups.begin(engine, LATER)
    rollups.begin(engine, LATER)
    with pytest.raises(StoreError, match="another run"):
        rollups.replace(engine, first, 0, {0}, [])
    engine.dispose()
    assert roll(url).calls == 1


def test_a_run_that_was_broken_off_is_taken_up(sqlite_store: Store) -> None:
    url = sqlite_store([row(timedelta(days=n), model="a") for n in range(3)])

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll(url, progress=stop)
    assert roll(url) == RolledUp(days=2, calls=2, left_hours=0)
    assert_like_the_calls(url)


def test_a_transaction_that_was_open_while_a_run_began(postgres_url: str) -> None:
    """Its late call is seen by that run, or has left a note for the next."""
    engine = open_engine(postgres_url)
    upgrade(engine)
    add(postgres_url, row(0, model="a"))
    roll(postgres_url)
    with engine.connect() as connection:
        connection.execute(calls.insert(), [row(1, model="a")])
        with engine.connect() as other:
            other.exec_driver_sql("SET lock_timeout = '100ms'")
            lock = sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK))
            with pytest.raises(sa.exc.OperationalError, match="timeout"):
                other.execute(lock)
        connection.commit()
    engine.dispose()
    roll(postgres_url)
    assert by_model(scan_rollups(postgres_url)).collect()["calls"].item() == 2


def test_periods_are_of_whole_hours(sqlite_store: Store) -> None:
    url = sqlite_store([row(HOUR * n, model="a") for n in range(72)])
    roll(url)
    everything = scan_rollups(url)
    for since, until in [
        (None, None),
        (NOON + HOUR * 3, None),
        (NOON + HOUR * 3, NOON + HOUR * 5),
        (NOON + HOUR * 3, NOON + HOUR * 50),
        (None, NOON + HOUR * 36),
        (NOON + HOUR * 12, NOON + HOUR * 36),
    ]:
        began = pl.col("started_at")
        within = everything
        if since is not None:
            within = within.filter(began >= since)
        if until is not None:
            within = within.filter(began < until)
        expected = by_model(within).collect()
        for every in ("hour", "day"):
            found = by_model(scan_rollups(url, since, until, every=every)).collect()
            assert_frame_equal(found, expected)
    begun = scan_rollups(url, NOON + timedelta(minutes=59), NOON + timedelta(minutes=61))
    assert by_model(begun).collect()["calls"].item() == 2, "hours that begin in it, and its first"


def test_filters_of_polars_hold_for_rollups(sqlite_store: Store) -> None:
    url = sqlite_store([row(n, model=model, latency_seconds=1) for n, model in enumerate("aab")])
    roll(url)
    frame = scan_rollups(url)
    some = by_model(frame.filter(pl.col("model") == "a")).collect()
    assert some.select("model", "calls").rows() == [("a", 2)]
    assert some["latency_p50_seconds"].item() == pytest.approx(1, rel=0.01)
    assert frame.filter(pl.col("measure").is_null()).select(pl.len()).collect().item() == 2
    assert frame.select("measure", "count").head(1).collect().height == 1
    streams = by(frame, pl.col("outcome").cast(pl.String)).collect()
    assert streams.select("outcome", "calls").rows() == [("completed", 3)]


def test_what_rollups_cannot_tell(sqlite_store: Store) -> None:
    url = sqlite_store([row(0, model="a")])
    roll(url)
    with pytest.raises(ValueError, match="rollups know nothing of session_id"):
        by_session(scan_rollups(url))
    with pytest.raises(ValueError, match="every='hour'"):
        by_hour(scan_rollups(url, every="day"))
    with pytest.raises(ValueError, match="every='hour'"):
        by_day(scan_rollups(url, every="day"), time_zone="Asia/Kolkata")


def test_the_schema_is_the_same_when_empty(sqlite_store: Store, tmp_path: Path) -> None:
    url = sqlite_store([])
    roll(url)
    assert write_rollups(url, tmp_path / "files") == 0
    (tmp_path / "files").mkdir(exist_ok=True)
    for source in (url, tmp_path / "files"):
        assert scan_rollups(source).collect().schema == ROLLUPS
        assert scan_rollups(source, every="day").collect().is_empty()
        assert (
            by_model(scan_rollups(source)).collect().schema
            == by_model(scan_calls(url)).collect_schema()
        )
    with pytest.raises(StoreError, match="rollup --to"):
        scan_rollups(tmp_path / "nowhere")


def test_files_are_written_again_where_their_day_changed(store: Store, tmp_path: Path) -> None:
    url = store([row(timedelta(days=n), model="a", latency_seconds=2) for n in range(3)])
    roll(url)
    assert write_rollups(url, tmp_path) == 3
    assert write_rollups(url, tmp_path) == 0
    add(url, row(1, model="b"))
    roll(url)
    assert write_rollups(url, tmp_path) == 1
    assert_like_the_calls(url, tmp_path)
