"""`tail`, `show`, `status`, `sql` and `export`: what is stored, as people and programs read it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx
import polars as pl
import pytest

from tachograph import Recorder, instrument
from tachograph.analytics import read_calls
from tachograph.core.ids import uuid7
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.schema import REVISION, calls
from tachograph.testing import FakeOpenRouter
from tests.analytics.rows import NOON, row
from tests.cli.conftest import Run, stored


def test_tail_shows_the_last_calls_the_newest_at_the_end(tachograph: Run, db: str) -> None:
    lines = tachograph("tail", "--db", db, "-n", "2").out.splitlines()
    assert [line.split()[:4] for line in lines[2:]] == [
        ["11-01", "13:00:00", "b/small", "P"],
        ["11-01", "14:00:00", "b/small", "-"],
    ]
    assert " ok " in lines[2]
    assert " failed " in lines[3]
    last = tachograph("tail", "--db", db, "-n", "1", "--format", "json").json
    assert [(call["started_at"], call["outcome"]) for call in last] == [
        ("2026-11-01T14:00:00Z", "failed")
    ]
    assert tachograph("tail", "--db", db, "-n", "0", "--format", "json").json == []


def test_a_call_of_today_is_shown_by_its_hour(tachograph: Run, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    url = stored(tmp_path / "today.db", [row(now - NOON)])
    assert f"{now:%H:%M:%S}" in tachograph("tail", "--db", url).out.splitlines()[2].split()


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_tail_follows_what_is_stored_later_also_if_it_began_earlier(
    db: str, form: str, tmp_path: Path
) -> None:
    following = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from tachograph.cli import main, tail; tail.POLL_SECONDS = 0.05; main()",
            *("tail", "--db", db, "-n", "1", "--follow", "--format", form),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    try:
        lines = [following.stdout.readline() for _ in range(1 if form == "json" else 2)]
        engine = open_engine(db)
        with engine.begin() as connection:
            connection.execute(calls.insert(), [row(1800, model="c/late")])
        engine.dispose()
        lines.append(following.stdout.readline())
    finally:
        following.terminate()
        following.wait(10)
        following.stdout.close()
    assert "b/small" in lines[-2]
    assert "c/late" in lines[-1]
    if form == "json":
        assert json.loads(lines[-1])["model"] == "c/late"


def retried(path: Path) -> tuple[str, dict[str, str]]:
    """An operation of two calls and another call; the URL, and ids by name."""
    first = row(0, outcome="failed", error_type="rate_limited", http_status=429, name="sum",
                latency_seconds=0.5, trace_id=b"\xab" * 16, generation_id="gen-x")  # fmt: skip
    again = row(1.5, operation_id=first["id"], attempt=2, resend_count=1, latency_seconds=2.0,
                model="a/big", spent_picousd=Decimal("0.25"), trace_id=b"\xab" * 16,
                generation_id=f"gen-{int(NOON.timestamp()) + 2}-Zz")  # fmt: skip
    url = stored(path, [first, again, row(9, model="other")])
    ids = {"first": str(UUID(bytes=first["id"])), "again": str(UUID(bytes=again["id"]))}
    return url, ids | {"trace": "ab" * 16, "made": again["generation_id"], "odd": "gen-x"}


def test_show_finds_a_call_by_any_of_its_ids(tachograph: Run, tmp_path: Path) -> None:
    url, ids = retried(tmp_path / "calls.db")
    for name, count in (("first", 2), ("again", 2), ("trace", 2), ("made", 2), ("odd", 2)):
        found = tachograph("show", ids[name], "--db", url, "--format", "json").json
        assert len(found["calls"]) == count, name
        (operation,) = found["operations"]
        assert operation["operation_id"] == ids["first"]
    assert found["calls"][0]["error_type"] == "rate_limited"


def test_show_takes_an_id_without_dashes(tachograph: Run, tmp_path: Path) -> None:
    url, ids = retried(tmp_path / "calls.db")
    for name in ("first", "again"):
        for typed in (ids[name].replace("-", ""), ids[name].replace("-", "").upper()):
            found = tachograph("show", typed, "--db", url, "--format", "json").json
            assert len(found["calls"]) == 2, name
        assert (
            f"id                           {ids[name]}"
            in tachograph("show", typed, "--db", url).out
        )
    assert tachograph("show", "ab" * 15 + "aa", "--db", url).status == 1


def test_show_of_a_generation_tells_of_its_call_within_its_operation(
    tachograph: Run, tmp_path: Path
) -> None:
    url, ids = retried(tmp_path / "calls.db")
    for typed, name in (("made", "again"), ("odd", "first")):
        said = tachograph("show", ids[typed], "--db", url).out
        assert "2 calls, 1 re-sending" in said
        assert f"id                           {ids[name]}" in said


def test_the_timeline_tells_waiting_from_answering(tachograph: Run, tmp_path: Path) -> None:
    call = row(0, latency_seconds=4.0, first_token_seconds=2.0, model="a/b")
    url = stored(tmp_path / "calls.db", [call])
    said = tachograph("show", str(UUID(bytes=call["id"])), "--db", url).out
    (bar,) = {word for word in said.split() if set(word) == {"\u2500", "\u2501"}}
    assert bar.index("\u2501") == pytest.approx(len(bar) / 2, abs=1)


def test_show_draws_the_operation_as_a_timeline(tachograph: Run, tmp_path: Path) -> None:
    url, ids = retried(tmp_path / "calls.db")
    said = tachograph("show", ids["again"], "--db", url).out
    assert f"operation {ids['first']}  sum\n" in said
    assert "2 calls, 1 re-sending, completed, 2.500 s in calls, 1.000 s between them" in said
    assert "0.25 USD, 1 cost not known" in said
    first, second = (line for line in said.splitlines() if "\u2501" in line)
    assert first.index("\u2501") < second.index("\u2501")
    assert "rate_limited" in first
    assert f"id                           {ids['again']}" in said
    assert "spent_usd                    0.25" in said
    assert "error_type" not in said


def test_show_of_an_unknown_id_is_an_error(tachograph: Run, db: str) -> None:
    ran = tachograph("show", "gen-1-none", "--db", db)
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err == (
        "tachograph: no call, operation, generation or trace has the id gen-1-none in SQL; "
        "name the archive with --archive, if there is one\n"
    )


def test_status_tells_what_waits_for_a_server_that_is_away(
    tachograph: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path))
    url = "postgresql://someone@127.0.0.1:1/calls"
    with (
        FakeOpenRouter() as server,
        Recorder(url, base_urls=[server.base_url]) as recorder,
        instrument(httpx.Client(), recorder) as client,
    ):
        client.get(f"{server.base_url}/models")
    ran = tachograph("status", "--db", url)
    assert ran.err.startswith("what waits for the database: 1 journal of ")
    assert (ran.out, ran.status) == ("", 1)


def test_status_is_the_ledger(tachograph: Run, db: str, tmp_path: Path) -> None:
    engine = open_engine(db)
    ledger = Ledger(uuid7(1), began_us=1, last_seen_us=1, made=9, dropped={"journal_full": 2})
    Inserter(engine).store([], ledger)
    engine.dispose()
    facts = tachograph("status", "--db", db, "--format", "json").json
    assert facts == {
        "database": db,
        "revision": REVISION,
        "made": 9,
        "stored": 0,
        "waiting": 7,
        "dropped": {"journal_full": 2},
        "recorders": 1,
        "recorders_alive": 0,
        "journals": 0,
        "journal_bytes": 0,
        "journal_folder": f"{tmp_path}/calls.db.journal",
    }
    ran = tachograph("status", "--db", db)
    assert "waiting          7\n" in ran.out
    assert "dropped          2 (2 journal_full)\n" in ran.out
    assert "tachograph db replay" in ran.err
    rows = list(
        csv.DictReader(io.StringIO(tachograph("status", "--db", db, "--format", "csv").out))
    )
    assert (rows[0]["made"], rows[0]["dropped"]) == ("9", '{"journal_full":2}')


def test_sql_selects(tachograph: Run, db: str) -> None:
    query = "SELECT model, spent_usd FROM call_log ORDER BY started_at"
    rows = tachograph("sql", query, "--db", db, "--format", "json").json
    assert rows[0] == {"model": "a/big", "spent_usd": "0.000000000001"}
    table = tachograph("sql", "SELECT 1 AS one, 1.25 AS x, NULL AS n", "--db", db).out
    head, _, line = (line.split() for line in table.splitlines())
    assert (head, line) == (["one", "x", "n"], ["1", "1.25", "-"])


def test_sql_shows_people_the_first_rows_and_programs_all(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tachograph.cli.sql.MOST_LINES", 2)
    ran = tachograph("sql", "SELECT id FROM call_log", "--db", db)
    assert len(ran.out.splitlines()) == 2 + 2
    assert "first 2 rows" in ran.err
    assert tachograph("sql", "SELECT id FROM call_log LIMIT 2", "--db", db).err == ""
    written = tachograph("sql", "SELECT id FROM call_log", "--db", db, "--format", "csv").out
    assert len(written.splitlines()) == 1 + 3


def test_sql_writes_a_file(tachograph: Run, db: str, tmp_path: Path) -> None:
    query = "SELECT model, spent_usd, http_status FROM call_log ORDER BY started_at"
    to = tmp_path / "calls.parquet"
    assert tachograph("sql", query, "--db", db, "--to", str(to)).out == ""
    assert pl.read_parquet(to).rows() == [
        ("a/big", "0.000000000001", None),
        ("b/small", "0.250000000000", None),
        ("b/small", None, 502),
    ]
    assert tachograph("sql", f"{query} LIMIT 0", "--db", db, "--to", str(to)).status == 0
    assert pl.read_parquet(to).shape == (0, 3)
    mixed = "SELECT 1 AS x UNION ALL SELECT 'one'"
    ran = tachograph("sql", mixed, "--db", db, "--to", str(to))
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "one type for each column" in ran.err
    assert pl.read_parquet(to).shape == (0, 3)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM calls",
        "SELECT 1; DELETE FROM calls",
        "PRAGMA user_version=7",
        "CREATE TEMP TABLE t (x)",
        "SELECT nonsense FROM calls",
        "",
    ],
)
def test_sql_changes_nothing(tachograph: Run, db: str, query: str) -> None:
    ran = tachograph("sql", query, "--db", db)
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err.count("\n") == 1
    assert len(read_calls(db)) == 3


def test_export_writes_the_frame(tachograph: Run, db: str, tmp_path: Path) -> None:
    whole = read_calls(db)
    parquet = tmp_path / "calls.parquet"
    assert tachograph("export", "calls", "--db", db, "--to", str(parquet)).out == f"{parquet}\n"
    back = pl.read_parquet(parquet)
    assert back.schema["outcome"] == pl.String
    words = pl.Schema({name: whole.schema[name] for name in ("outcome", "cost_source")})
    assert back.cast(words).equals(whole)

    since = ["--since", (NOON + timedelta(minutes=1)).isoformat()]
    ndjson = tmp_path / "calls.ndjson"
    tachograph("export", "calls", "--db", db, "--to", str(ndjson), *since)
    objects = [json.loads(line) for line in ndjson.read_text().splitlines()]
    assert len(objects) == 2
    assert objects[0]["spent_usd"] == "0.250000000000"
    assert objects[0]["started_at"] == "2026-11-01T13:00:00.000000Z"
    assert objects[0]["latency_seconds"] is None

    to_csv = tmp_path / "calls.csv"
    tachograph("export", "calls", "--db", db, "--to", str(to_csv))
    with to_csv.open() as file:
        assert [line["spent_usd"] for line in csv.DictReader(file)] == [
            "0.000000000001",
            "0.250000000000",
            "",
        ]
    assert sorted(path.name for path in tmp_path.glob("*calls.[!d]*")) == [
        "calls.csv",
        "calls.ndjson",
        "calls.parquet",
    ]


def test_export_that_fails_leaves_no_file(tachograph: Run, tmp_path: Path) -> None:
    to = tmp_path / "calls.csv"
    ran = tachograph("export", "calls", "--db", f"sqlite:///{tmp_path}/none.db", "--to", str(to))
    assert ran.status == 1
    assert list(tmp_path.iterdir()) == []
    assert tachograph("export", "calls", "--to", str(tmp_path / "calls.xml")).status == 2
