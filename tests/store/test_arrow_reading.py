"""When calls are read by processes of their own, and what happens when that cannot be."""

from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tachograph.errors import StoreError
from tachograph.store import arrow_reading, queries, reading_processes
from tachograph.store.arrow_reading import arrow_streams
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tests.required import missing
from tests.stored import NOON, store

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("adbc_driver_sqlite") is None, reason="the extra adbc is not installed"
)
EVERY_ID = queries.select_calls(["id"])


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_reading, "MANY_ROWS", 10)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a database with 100 calls."""
    found = f"sqlite:///{tmp_path / 'calls.db'}"
    engine = open_engine(found)
    upgrade(engine)
    store(engine, *[{"session_id": f"s{n}"} for n in range(100)])
    engine.dispose()
    return found


def rows_in(streams: Any) -> int:
    import pyarrow as pa

    return sum(pa.ipc.open_stream(stream).read_all().num_rows for stream in streams)


def test_many_calls_are_read_by_processes(url: str) -> None:
    with arrow_streams(url, EVERY_ID) as streams:
        assert rows_in(streams) == 100


def test_few_calls_are_not(url: str) -> None:
    instant = int(NOON.timestamp() * 1_000_000) + 95_000_000
    few = queries.select_calls(["id"], [queries.compare("started_at", ">=", instant)])
    with arrow_streams(url, few) as streams:
        assert streams is None


def test_calls_that_an_index_finds_are_not(url: str) -> None:
    one = queries.select_calls(["id"], [queries.compare("session_id", "==", "s7")])
    with arrow_streams(url, one) as streams:
        assert streams is None


def test_an_engine_is_used_as_it_is(url: str) -> None:
    with arrow_streams(sa.create_engine(url), EVERY_ID) as streams:
        assert streams is None


def test_a_memory_database_is_read_here() -> None:
    with arrow_streams("sqlite://", EVERY_ID) as streams:
        assert streams is None


def test_without_the_driver_python_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with arrow_streams(url, EVERY_ID) as streams:
        assert streams is None


def test_a_process_that_cannot_begin_costs_nothing_but_time(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = arrow_reading._request
    monkeypatch.setattr(
        arrow_reading, "_request", lambda *given: {**real(*given), "uri": "file:/nowhere?mode=ro"}
    )
    with arrow_streams(url, EVERY_ID) as streams:
        assert streams is None
    assert "calls are read in the slower way" in caplog.text


def test_a_process_that_dies_is_an_error_and_not_a_shorter_answer(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    with arrow_streams(url, EVERY_ID) as streams:
        assert streams is not None
        for process in started:
            process.kill()
            process.wait()
        with pytest.raises(StoreError, match="ended by itself"):
            rows_in(streams)


def test_who_stops_early_leaves_no_process_and_no_thread(url: str) -> None:
    with arrow_streams(url, EVERY_ID) as streams:
        assert streams is not None
        next(streams)
    assert "tachograph-reading" not in [thread.name for thread in threading.enumerate()]


def test_all_of_them_see_one_state(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit between the beginnings of two processes makes them begin again."""
    path = url.removeprefix("sqlite:///")
    real = reading_processes.ReadingProcesses.begin_again
    attempts = []

    def begin_again(processes: reading_processes.ReadingProcesses) -> None:
        real(processes)
        attempts.append(1)
        if len(attempts) < 3:
            connection = sqlite3.connect(path)
            connection.execute("UPDATE calls SET name = ?", [str(len(attempts))])
            connection.commit()
            connection.close()

    monkeypatch.setattr(reading_processes.ReadingProcesses, "begin_again", begin_again)
    with arrow_streams(url, queries.select_calls(["name"])) as streams:
        assert streams is not None
        import pyarrow as pa

        names = {name for one in streams for name in pa.ipc.open_stream(one).read_all()["name"]}
    assert len(attempts) == 3
    assert {str(name) for name in names} == {"2"}


def test_where_commits_never_pause_one_process_reads_all(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(range(10_000))
    monkeypatch.setattr(arrow_reading, "_version", lambda connection: next(versions))
    with arrow_streams(url, EVERY_ID) as streams:
        assert rows_in(streams) == 100


def test_the_extra_is_there_where_all_is_required() -> None:
    for name in ("adbc_driver_sqlite", "adbc_driver_postgresql", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            missing(f"{name} is not installed")


def test_a_backslash_is_itself_whatever_the_server_is_set_to(postgres_url: str) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    engine = open_engine(postgres_url)
    upgrade(engine)
    store(engine, *[{"name": "a\\b" if n % 2 else "' OR true --"} for n in range(20)])
    engine.dispose()
    url = f"{postgres_url}?options=-cstandard_conforming_strings%3Doff"
    for name, rows in (("a\\b", 10), ("\\' OR true --", 0)):
        these = queries.select_calls(["id"], [queries.compare("name", "==", name)])
        with arrow_streams(url, these) as streams:
            assert streams is not None
            assert rows_in(streams) == rows
