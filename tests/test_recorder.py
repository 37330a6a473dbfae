"""What a recorder promises: operations, its ledger, and every call once, whatever processes do."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph import Recorder, SettingsError
from tachograph.errors import StoreError
from tachograph.httpx import AsyncRecordingTransport, RecordingTransport
from tachograph.settings import Durability
from tachograph.testing import Answer, Chat, FakeOpenRouter, Hold
from tests.programs import ASKED

STREAMED = {**ASKED, "stream": True}


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.db"


@pytest.fixture
def recorder(file: Path, server: FakeOpenRouter) -> Iterator[Recorder]:
    with Recorder(f"sqlite:///{file}", base_urls=[server.base_url]) as recorder:
        yield recorder


@pytest.fixture
def client(recorder: Recorder, server: FakeOpenRouter) -> Iterator[httpx.Client]:
    transport = RecordingTransport(recorder)
    with httpx.Client(base_url=server.base_url, transport=transport) as client:
        yield client


def stored(file: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY id")]
    finally:
        connection.close()


def rows(recorder: Recorder, file: Path) -> list[dict[str, Any]]:
    assert recorder.flush(20)
    return stored(file)


def call(client: httpx.Client) -> None:
    client.post("/chat/completions", json=ASKED).raise_for_status()


# --- operations ---


def test_an_operation_gathers_what_runs_inside(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    with recorder.operation(
        "summarise", session="s-1", user="u-7", tags={"team": "search", "n": 1}
    ):
        call(client)
        call(client)
    call(client)
    first, second, other = rows(recorder, file)
    for n, row in enumerate((first, second), 1):
        assert (row["name"], row["session_id"], row["user_id"]) == ("summarise", "s-1", "u-7")
        assert row["tags"] == '{"team":"search","n":1}'
        assert (row["operation_id"], row["attempt"]) == (first["id"], n)
    assert (other["name"], other["tags"], other["attempt"]) == (None, None, 1)
    assert other["operation_id"] == other["id"]


def test_an_operation_inside_another_is_one_of_its_own(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    with recorder.operation("outer"):
        call(client)
        with recorder.operation("inner"):
            call(client)
        call(client)
    names = [(row["name"], row["attempt"]) for row in rows(recorder, file)]
    assert names == [("outer", 1), ("inner", 1), ("outer", 2)]


def test_threads_that_copy_the_context_are_inside_and_others_are_not(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    with recorder.operation("job"), ThreadPoolExecutor(4) as pool:
        contexts = [contextvars.copy_context() for _ in range(8)]
        inside = [pool.submit(context.run, call, client) for context in contexts]
        outside = threading.Thread(target=contextvars.Context().run, args=(call, client))
        outside.start()
        outside.join()
        for done in inside:
            done.result()
    found = rows(recorder, file)
    named = [row for row in found if row["name"] == "job"]
    assert len(found) == 9
    assert len({row["operation_id"] for row in named}) == 1
    assert sorted(row["attempt"] for row in named) == list(range(1, 9))


def test_tasks_are_in_the_operation_that_they_were_made_in(
    recorder: Recorder, server: FakeOpenRouter, file: Path
) -> None:
    async def work(client: httpx.AsyncClient, name: str) -> None:
        with recorder.operation(name):
            await asyncio.gather(*(client.post("/chat/completions", json=ASKED) for _ in range(3)))

    async def main() -> None:
        transport = AsyncRecordingTransport(recorder)
        async with httpx.AsyncClient(base_url=server.base_url, transport=transport) as client:
            await asyncio.gather(work(client, "a"), work(client, "b"))
            await client.post("/chat/completions", json=ASKED)

    asyncio.run(main())
    found = rows(recorder, file)
    assert Counter(row["name"] for row in found) == {"a": 3, "b": 3, None: 1}
    for name in "ab":
        own = [row for row in found if row["name"] == name]
        assert len({row["operation_id"] for row in own}) == 1
        assert sorted(row["attempt"] for row in own) == [1, 2, 3]


def test_an_error_inside_ends_the_operation(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    with pytest.raises(ZeroDivisionError), recorder.operation("failing"):  # noqa: PT012
        call(client)
        _ = 1 / 0
    call(client)
    assert [row["name"] for row in rows(recorder, file)] == ["failing", None]


# --- settings ---


def test_from_the_environment(
    file: Path, server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_DB", f"sqlite:///{file}")
    monkeypatch.setenv("TACHOGRAPH_BASE_URLS", server.base_url)
    with Recorder.from_env() as recorder:
        with httpx.Client(
            base_url=server.base_url, transport=RecordingTransport(recorder)
        ) as client:
            call(client)
        assert len(rows(recorder, file)) == 1


def test_an_unknown_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_BASE_URL", "https://llm.example.com")
    with pytest.raises(SettingsError, match="did you mean TACHOGRAPH_BASE_URLS"):
        Recorder.from_env()


def test_disabled_it_passes_calls_on_and_touches_nothing(
    file: Path, server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_DISABLED", "1")
    threads = threading.active_count()
    with Recorder(f"sqlite:///{file}", base_urls=[server.base_url]) as recorder:
        assert threading.active_count() == threads
        transport = RecordingTransport(recorder)
        with (
            httpx.Client(base_url=server.base_url, transport=transport) as client,
            recorder.operation("any"),
        ):
            call(client)
        assert recorder.flush()
        assert recorder.status() == (0, 0, 0, {}, 0, 0)
    assert list(file.parent.iterdir()) == []


# --- the ledger ---


def test_the_ledger_while_a_call_runs_waits_and_is_stored(
    recorder: Recorder, client: httpx.Client, server: FakeOpenRouter, file: Path
) -> None:
    assert recorder.flush(20)
    empty = recorder.status()
    assert (empty.made, empty.in_flight) == (0, 0)
    hold = Hold()
    stream = Chat("one two").stream()
    server.script(Answer(200, stream.headers, (stream.body[:40], hold, stream.body[40:])))
    with client.stream("POST", "/chat/completions", json=STREAMED) as response:
        pieces = response.iter_raw()
        next(pieces)
        running = recorder.status()
        assert (running.made, running.in_flight) == (0, 1)
        assert running.journal_bytes > empty.journal_bytes  # its beginning is noted
        hold.release()
        for _ in pieces:
            pass
    ended = recorder.status()
    assert (ended.made, ended.in_flight) == (1, 0)
    assert ended.made == ended.stored + ended.waiting + sum(ended.dropped.values())
    assert recorder.flush(20)
    assert recorder.status()[:5] == (1, 1, 0, {}, 0)
    assert len(stored(file)) == 1


def test_flush_says_when_the_time_was_not_enough(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    assert recorder.flush(20)
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        call(client)
    assert not recorder.flush(0.05)
    status = recorder.status()
    assert (status.made, status.stored, status.waiting) == (3, 0, 3)
    held.execute("COMMIT")
    held.close()
    assert len(rows(recorder, file)) == 3


def test_after_the_close_calls_pass_unrecorded(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    call(client)
    assert recorder.close(20)
    assert recorder.close(20)
    assert recorder.flush()
    call(client)
    assert recorder.status()[:5] == (1, 1, 0, {}, 0)
    assert len(stored(file)) == 1
    assert list((file.parent / "calls.db.journal").iterdir()) == []


def test_calls_that_still_run_at_the_close_are_interrupted(
    recorder: Recorder, client: httpx.Client, file: Path
) -> None:
    with client.stream("POST", "/chat/completions", json=STREAMED) as response:
        next(response.iter_raw())
        assert recorder.close(20)
        assert response.is_stream_consumed
        response.close()
    (row,) = stored(file)
    assert (row["outcome"], row["error_type"]) == ("abandoned", "interrupted")
    assert row["latency_seconds"] is None


# --- processes ---


def run(name: str, file: Path, server: FakeOpenRouter) -> list[dict[str, Any]]:
    """The rows after that program of `programs.py`."""
    program = Path(__file__).with_name("programs.py")
    done = subprocess.run(
        [sys.executable, program, name, f"sqlite:///{file}", server.base_url],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Recorder(f"sqlite:///{file}") as recorder:  # a slow machine may have left some
        assert recorder.flush(60)
    return stored(file)


def assert_each_once(found: list[dict[str, Any]], calls: int) -> None:
    assert len(found) == calls
    assert len({row["generation_id"] for row in found}) == calls
    assert {row["outcome"] for row in found} == {"completed"}


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_parent_child_and_grandchild_record(file: Path, server: FakeOpenRouter) -> None:
    assert_each_once(run("fork", file, server), 5 + 7 + 11 + 13)


@needs_fork
def test_a_child_that_outlives_its_parents_recorder(file: Path, server: FakeOpenRouter) -> None:
    assert_each_once(run("outliving_fork", file, server), 1 + 1 + 20)


@needs_fork
def test_a_child_that_only_closes_takes_nothing_from_its_parent(
    file: Path, server: FakeOpenRouter
) -> None:
    assert_each_once(run("silent_fork", file, server), 10)


def test_the_interpreter_ends_in_mid_stream(file: Path, server: FakeOpenRouter) -> None:
    (row,) = run("exit_in_mid_stream", file, server)
    assert (row["outcome"], row["error_type"]) == ("abandoned", "interrupted")
    assert row["http_status"] == 200
    assert row["generation_id"] is not None


def test_one_shots_of_asyncio_lose_nothing(file: Path, server: FakeOpenRouter) -> None:
    assert_each_once(run("one_shots", file, server), 5)


@pytest.mark.parametrize("durability", ["process", "memory"])
def test_a_database_in_a_folder_that_is_not_there(tmp_path: Path, durability: Durability) -> None:
    with pytest.raises(StoreError, match=rf"^the folder {tmp_path}/none does not exist: create it"):
        Recorder(f"sqlite:///{tmp_path}/none/calls.db", durability=durability)
