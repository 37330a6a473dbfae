"""Calls on their way from SQL to Parquet: each is there once, unchanged, at every moment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tachograph
from tachograph.analytics import day_files
from tachograph.analytics.archive import archive_calls
from tachograph.analytics.archived import Both
from tachograph.analytics.frames import count_calls, latest, read_calls, read_operation, scan_calls
from tachograph.analytics.lazy_frames import Wanted
from tachograph.analytics.lookup import find_calls
from tachograph.analytics.operation_rows import scan_operations
from tachograph.analytics.scanning import explain_sql, sql_scan_of
from tachograph.analytics.schema import CALLS
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.schema import calls
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, row

END = NOON + timedelta(days=5)
FULL: dict[str, Any] = {
    "stream": True,
    "chunks": 2**31 - 1,
    "input_tokens": 2**63 - 1,
    "output_tokens": 30,
    "latency_seconds": 0.1 + 0.2,
    "first_token_seconds": 0.1,
    "tags": '{"team": "s\u00fcche"}',
    "billed_picousd": Decimal("9223372.036854775807"),
    "spent_picousd": Decimal("-9223372.036854775808"),
    "computed_picousd": Decimal("0.000000000001"),
    "upstream_picousd": Decimal(0),
    "outcome": "completed",
    "cost_source": "reconciled",
    "trace_id": bytes(range(16)),
    "span_id": b"\0" * 8,
    "trace_sampled": False,
}


def some(n: int = 30) -> list[dict[str, Any]]:
    """Calls of four days, in every third of which much is said."""
    return [
        row(timedelta(hours=3 * k), model=f"m{k % 3}", **(FULL if k % 3 == 0 else {}))
        for k in range(n)
    ]


def change(url: str, *statements: sa.Executable) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


def in_sql(url: str) -> int:
    return count_calls(url, at_most=1000)


def test_what_is_read_is_the_same_before_meanwhile_and_after(store: Store, tmp_path: Path) -> None:
    url, archive = store(some()), tmp_path / "archive"
    archive.mkdir()
    before = read_calls(url)
    told: list[tuple[int, int]] = []

    def look(done: int, whole: int) -> None:
        told.append((done, whole))
        assert read_calls(url, archive=archive).equals(before)

    done = archive_calls(url, NOON + timedelta(days=3), archive, progress=look)
    assert (done.days, done.calls, done.deleted) == (3, 20, 20)
    assert done.until == datetime(2026, 11, 4, tzinfo=UTC)
    assert done.bytes == sum(file.stat().st_size for file in archive.glob("*/*.parquet"))
    assert sum(one for one, _ in told) == told[0][1] == 40
    assert in_sql(url) == 10
    assert read_calls(url).equals(before.tail(10))
    after = read_calls(url, archive=archive)
    assert after.schema == CALLS
    assert after.equals(before)
    assert sorted(path.name for path in archive.iterdir()) == [
        ".lock",
        "day=2026-11-01",
        "day=2026-11-02",
        "day=2026-11-03",
    ]
    assert archive_calls(url, NOON + timedelta(days=3), archive).days == 0


def test_filters_columns_periods_and_head_over_both(store: Store, tmp_path: Path) -> None:
    url = store(some())
    before = read_calls(url)
    archive_calls(url, NOON + timedelta(days=2), tmp_path)
    both = scan_calls(url, archive=tmp_path)
    for condition in (
        pl.col("model") == "m1",
        pl.col("outcome") == "completed",
        pl.col("started_at") >= NOON + timedelta(days=1, hours=3),
        pl.col("id") <= before["id"][7],
        pl.col("output_tokens_per_second") > 10,
        pl.col("billed_usd").is_null(),
    ):
        found = both.filter(condition).select("spent_usd", "id").sort("id").collect()
        assert found.equals(before.filter(condition).select("spent_usd", "id"))
    for hours in range(0, 90, 7):
        since, until = NOON + timedelta(hours=hours), NOON + timedelta(hours=2 * hours)
        for period in ((since, None), (None, until), (since, until)):
            assert read_calls(url, *period, archive=tmp_path).equals(read_of(before, *period))
    assert len(both.head(5).collect()) == 5
    assert len(both.head(25).collect()) == 25
    assert both.select(pl.len()).collect().item() == 30
    assert count_calls(url, NOON, at_most=7, archive=tmp_path) == 7


def read_of(frame: pl.DataFrame, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    began = pl.col("started_at")
    return frame.filter(
        began >= since if since else pl.lit(True), began < until if until else pl.lit(True)
    )


def test_other_readers_of_both(store: Store, tmp_path: Path) -> None:
    rows = some()
    rows[9]["operation_id"] = rows[2]["id"]
    rows[28]["operation_id"] = rows[2]["id"]
    url = store(rows)
    ids = read_calls(url)["id"].to_list()
    operations = scan_operations(url).collect()
    newest = latest(url, 25)
    archive_calls(url, NOON + timedelta(days=2), tmp_path)
    for n in (1, 5, 25):
        assert latest(url, n, archive=tmp_path).equals(newest.head(n))
    assert latest(url, 100, ["model"], archive=tmp_path).height == 30
    assert scan_operations(url, archive=tmp_path).collect().equals(operations)
    assert read_operation(url, ids[2], archive=tmp_path)["id"].to_list() == [
        ids[2],
        ids[9],
        ids[28],
    ]
    for named in (ids[2], ids[9], ids[28]):
        found = find_calls(url, named, archive=tmp_path)
        assert found["id"].to_list() == [ids[2], ids[9], ids[28]]
    assert len(find_calls(url, "000102030405060708090a0b0c0d0e0f", archive=tmp_path)) == 10


def test_explain_tells_the_sql_of_both_parts(store: Store, tmp_path: Path) -> None:
    url = store(some())
    archive_calls(url, NOON + timedelta(days=2), tmp_path)
    newer, older = explain_sql(
        scan_calls(url, archive=tmp_path).filter(pl.col("model") == "m1").select("spent_usd")
    )
    assert "'m1'" in newer
    assert "'m1'" not in older


def test_calls_that_come_late_are_seen_and_merged(store: Store, tmp_path: Path) -> None:
    url = store(some())
    archive_calls(url, END, tmp_path)
    late = [row(timedelta(hours=hour, minutes=1)) for hour in (-2, 0, 4, 80)]
    change(url, calls.insert().values(late))
    seen = read_calls(url, archive=tmp_path)
    assert len(seen) == 34
    done = archive_calls(url, END, tmp_path)
    assert (done.days, done.deleted) == (2, 4)
    assert in_sql(url) == 0
    assert read_calls(url, archive=tmp_path).equals(seen)


def test_what_is_kept_is_counted_once_and_sql_is_right(store: Store, tmp_path: Path) -> None:
    url = store(some())
    done = archive_calls(url, NOON + timedelta(days=2), tmp_path, keep=True)
    assert (done.days, done.deleted, in_sql(url)) == (2, 0, 30)
    assert archive_calls(url, NOON + timedelta(days=2), tmp_path, keep=True).days == 0
    change(
        url,
        calls.update()
        .where(calls.c.model == "m1")
        .values(billed_picousd=Decimal(7), cost_source="reconciled"),
    )
    now = read_calls(url)
    assert read_calls(url, archive=tmp_path).equals(now)
    unknown = scan_calls(url, archive=tmp_path).filter(pl.col("billed_usd").is_null())
    assert unknown.select(pl.len()).collect().item() == 10
    assert latest(url, 30, archive=tmp_path).equals(latest(url, 30))
    assert archive_calls(url, NOON + timedelta(days=2), tmp_path).deleted == 12
    assert read_calls(url, archive=tmp_path).equals(now)


def test_a_call_that_changes_while_it_is_moved_is_archived_as_it_is_then(
    store: Store, tmp_path: Path
) -> None:
    url = store(some(8))
    written: list[int] = []

    def reconcile(done: int, whole: int) -> None:
        written.append(done)
        if written == [4]:  # the first day is being written
            change(
                url,
                calls.update().where(calls.c.model == "m1").values(billed_picousd=Decimal(7)),
                calls.insert().values(row(timedelta(minutes=1), model="late")),
            )

    archive_calls(url, END, tmp_path, progress=reconcile)
    assert in_sql(url) == 0
    found = read_calls(url, archive=tmp_path)
    assert len(found) == 9
    assert found.filter(pl.col("billed_usd") == 7)["model"].to_list() == ["m1"] * 3
    assert found.filter(pl.col("model") == "late").height == 1


class StoppedError(Exception):
    """Stands for a process that ends."""


@pytest.mark.parametrize("keep", [False, True])
def test_broken_off_after_any_step_and_run_again(store: Store, tmp_path: Path, keep: bool) -> None:
    url = store(some(12))
    before = read_calls(url)
    archive = tmp_path / "archive"
    for steps in range(100):

        def stop(done: int, whole: int, left: list[int] = [steps]) -> None:  # noqa: B006
            left[0] -= 1
            if left[0] < 0:
                raise StoppedError

        try:
            archive_calls(url, END, archive, keep=keep, progress=stop)
        except StoppedError:
            assert read_calls(url, archive=archive).equals(before)
        else:
            break
    assert steps > 1
    assert in_sql(url) == (12 if keep else 0)
    assert read_calls(url, archive=archive).equals(before)
    assert not list(archive.glob("*/.*"))


def test_a_file_that_was_not_written_right_deletes_nothing(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_store(some())
    sink = pl.LazyFrame.sink_parquet

    def lossy(self: pl.LazyFrame, path: Path, **options: Any) -> None:
        sink(self.with_columns(pl.col("spent_usd") * 2), path, **options)

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", lossy)
    with pytest.raises(tachograph.StoreError, match="was not written right: nothing was deleted"):
        archive_calls(url, END, tmp_path / "archive")
    assert in_sql(url) == 30
    assert not list((tmp_path / "archive").glob("*/*"))


def test_two_at_once_do_no_harm(sqlite_store: Store, tmp_path: Path) -> None:
    url, refused = sqlite_store(some()), []

    def another(done: int, whole: int) -> None:
        with pytest.raises(tachograph.StoreError, match="somebody else is writing"):
            archive_calls(url, END, tmp_path)
        refused.append(done)

    archive_calls(url, END, tmp_path, progress=another)
    assert refused


def test_a_day_that_is_archived_between_the_look_and_the_read(store: Store, tmp_path: Path) -> None:
    url = store(some())
    before = read_calls(url)
    plain = sql_scan_of(url, None, None)
    days = iter([2, 3])

    class Racing:
        """A scan before which another process moves a day."""

        since = until = None

        def between(self, since: datetime | None, until: datetime | None) -> Any:
            for day in days:
                archive_calls(url, NOON + timedelta(days=day), tmp_path)
                break
            return plain.between(since, until)

        def __call__(self, wanted: Wanted) -> Any:
            raise AssertionError("only parts of it are read")

    read = Both(Racing(), tmp_path)(Wanted(list(CALLS)))
    assert pl.concat(read).sort("id").equals(before)
    assert next(days, None) is None


def test_a_day_that_is_archived_while_its_rows_are_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tachograph.store.reading.CHUNK_ROWS", 3)
    url = store(some())
    before = read_calls(url)
    archive_calls(url, NOON + timedelta(days=1), tmp_path)
    frames = Both(sql_scan_of(url, None, None), tmp_path)(Wanted(list(CALLS)))
    got = [next(frames)]
    archive_calls(url, NOON + timedelta(days=3), tmp_path)
    assert in_sql(url) < 30
    assert pl.concat([*got, *frames]).sort("id").equals(before)


def test_files_of_older_columns_are_read_and_brought_up(store: Store, tmp_path: Path) -> None:
    url = store(some())
    before = read_calls(url)
    archive_calls(url, END, tmp_path)
    path = day_files.path_of(tmp_path, NOON.date())
    pl.read_parquet(path, hive_partitioning=False).drop("tags", "spent_usd").write_parquet(path)
    lacking = read_calls(url, archive=tmp_path)
    assert lacking.schema == CALLS
    assert lacking["tags"].null_count() > before["tags"].null_count()
    assert lacking.drop("tags", "spent_usd").equals(before.drop("tags", "spent_usd"))
    change(url, calls.insert().values(row(timedelta(minutes=1))))
    archive_calls(url, END, tmp_path)
    assert "tags" in pl.read_parquet_schema(path)
    assert len(read_calls(url, archive=tmp_path)) == 31


def test_a_newer_file_is_left_alone(sqlite_store: Store, tmp_path: Path) -> None:
    url = sqlite_store(some(3))
    archive_calls(url, END, tmp_path)
    path = day_files.path_of(tmp_path, NOON.date())
    newer = pl.read_parquet(path, hive_partitioning=False).with_columns(mood=pl.lit("good"))
    newer.write_parquet(path)
    assert len(read_calls(url, archive=tmp_path)) == 3
    change(url, calls.insert().values(row(timedelta(minutes=1))))
    with pytest.raises(tachograph.StoreError, match=r"does not know \(mood\): upgrade"):
        archive_calls(url, END, tmp_path)
    assert in_sql(url) == 1


def test_a_day_is_dropped_by_deleting_its_folder(sqlite_store: Store, tmp_path: Path) -> None:
    url = sqlite_store(some())
    archive_calls(url, END, tmp_path)
    path = day_files.path_of(tmp_path, NOON.date())
    path.unlink()
    path.parent.rmdir()
    left = read_calls(url, archive=tmp_path)
    assert len(left) == 26
    assert left["started_at"].min() == datetime(2026, 11, 2, tzinfo=UTC)


def test_recent_days_stay(sqlite_store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ages = [now - NOON - timedelta(days=days) for days in (0, 1, 2, 5)]
    url = sqlite_store([row(age) for age in ages])
    done = archive_calls(url, now + timedelta(days=9), tmp_path)
    assert now - timedelta(days=3) < done.until <= now - timedelta(days=2)
    assert (done.days, done.deleted) == (1, 1)


def test_a_system_without_locks_is_a_clear_error(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_store(some())
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(
        tachograph.StoreError, match=r"lacks flock.*an archive is written on another system"
    ):
        archive_calls(url, NOON + timedelta(days=9), tmp_path)


def test_no_archive_is_a_clear_error(sqlite_store: Store, tmp_path: Path) -> None:
    url = sqlite_store([row()])
    with pytest.raises(tachograph.StoreError, match="there is no archive at"):
        read_calls(url, archive=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert len(read_calls(url, archive=tmp_path / "empty")) == 1


def test_other_engines_read_it_as_it_is(store: Store, tmp_path: Path) -> None:
    url = store(some())
    before = read_calls(url)
    archive_calls(url, END, tmp_path)
    query = f"SELECT * EXCLUDE (day) FROM '{tmp_path}/*/*.parquet' ORDER BY id"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = pl.DataFrame(connection.sql(query).to_arrow_table())
        (spent,) = connection.execute(
            f"SELECT sum(spent_usd) FROM '{tmp_path}/*/*.parquet'"
        ).fetchone() or (None,)
    words = pl.col("outcome", "cost_source").cast(pl.String)
    expected = before.with_columns(words).drop("output_tokens_per_second")
    assert found.cast({"started_at": CALLS["started_at"]}).equals(expected)
    assert spent == before["spent_usd"].sum()


def test_statistics_let_readers_skip(sqlite_store: Store, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    archive_calls(sqlite_store(some()), END, tmp_path)
    file = pq.ParquetFile(day_files.path_of(tmp_path, NOON.date()))
    for group in range(file.metadata.num_row_groups):
        columns = file.metadata.row_group(group)
        for number in range(columns.num_columns):
            column = columns.column(number)
            assert column.compression == "ZSTD"
            if column.path_in_schema in ("id", "started_at", "model"):
                assert column.statistics.has_min_max


moves = st.lists(
    st.tuples(st.integers(1, 5), st.booleans(), st.lists(st.integers(0, 110), max_size=3)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_any_history_of_moves_leaves_each_call_once(
    server: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address: str | None = request.getfixturevalue("postgres_url") if server else None

    @settings(
        max_examples=8 if server else 15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(hours=st.lists(st.integers(0, 110), min_size=1, max_size=20), moved=moves)
    def each_once(hours: list[int], moved: list[tuple[int, bool, list[int]]]) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        url = address or f"sqlite:///{folder}/calls.db"
        engine = open_engine(url)
        upgrade(engine)
        with engine.begin() as connection:
            connection.execute(calls.delete())
            connection.execute(calls.insert(), [row(timedelta(hours=hour)) for hour in hours])
        expected = read_calls(url)
        for days, keep, late in moved:
            archive_calls(url, NOON + timedelta(days=days), folder / "archive", keep=keep)
            new = [row(timedelta(hours=hour, minutes=3), model="late") for hour in late]
            if new:
                with engine.begin() as connection:
                    connection.execute(calls.insert(), new)
            ids = [item["id"] for item in new]
            fresh = [frame for id_ in ids if len(frame := by_id(url, id_))]
            expected = pl.concat([expected, *fresh]).sort("id")
            assert read_calls(url, archive=folder / "archive").equals(expected)
        engine.dispose()

    each_once()


def by_id(url: str, id_: bytes) -> pl.DataFrame:
    return scan_calls(url).filter(pl.col("id") == str(UUID(bytes=id_))).collect()


MOVER = """
import sys
from tachograph.analytics.archive import archive_calls
print("ready", flush=True)
archive_calls(sys.argv[1], "2026-11-05", sys.argv[2], progress=lambda *_: print(flush=True))
"""


@pytest.mark.parametrize("steps", [0, 4, 20])
def test_killed_anywhere_and_run_again(store: Store, tmp_path: Path, steps: int) -> None:
    url = store([row(timedelta(minutes=k), **FULL) for k in range(3000)])
    before, archive = read_calls(url), tmp_path / "archive"
    archive.mkdir()
    mover = subprocess.Popen(
        [sys.executable, "-c", MOVER, url, str(archive)], stdout=subprocess.PIPE
    )
    assert mover.stdout is not None
    for _ in range(steps + 1):
        mover.stdout.readline()
    mover.kill()
    mover.wait()
    mover.stdout.close()
    assert read_calls(url, archive=archive).equals(before)
    archive_calls(url, END, archive)
    assert in_sql(url) == 0
    assert read_calls(url, archive=archive).equals(before)
    assert not list(archive.glob("*/.*"))


DYING = """
import os, signal, sys
from tachograph.analytics.archive import archive_calls
url, archive, left = sys.argv[1], sys.argv[2], [int(sys.argv[3])]
def die(event, arguments):
    if event in ("open", "os.rename", "os.mkdir", "os.remove") and archive in str(arguments[0]):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
archive_calls(url, "2026-11-05", archive)
"""


def test_killed_before_any_file_is_opened_or_renamed(sqlite_store: Store, tmp_path: Path) -> None:
    url = sqlite_store(some())
    before, archive = read_calls(url).filter(pl.col("started_at") < END), tmp_path / "archive"
    archive.mkdir()
    died = 0
    for left in range(0, 40, 3):
        child = subprocess.run([sys.executable, "-c", DYING, url, str(archive), str(left)])
        died += child.returncode == -9
        assert read_calls(url, archive=archive).equals(before)
        if child.returncode == 0:
            break
    assert child.returncode == 0
    assert died > 3
    assert in_sql(url) == 2
    assert not list(archive.glob("*/.*"))
