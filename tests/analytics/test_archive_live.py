"""An archive at work beside those who write and read: each call is read exactly once, always.

Nobody waits for anybody here, so that each run of the test is another order of events.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import UUID

import httpx
import pytest

import tachograph
from tachograph.analytics import archive, archived
from tachograph.analytics.archive import archive_calls
from tachograph.analytics.frames import count_calls, read_calls, scan_calls
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.schema import calls
from tachograph.testing import Chat, FakeOpenRouter
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, row

END = NOON + timedelta(days=5)
LATE = 150
"""So many calls of closed days come while these are archived."""


def late_calls(url: str, told: list[str]) -> None:
    """Puts calls of closed days into SQL, one by one, and tells of each that it is there."""
    chosen = random.Random(0)
    engine = open_engine(url)
    for _ in range(LATE):
        late = row(timedelta(seconds=chosen.randrange(4 * 86_400)), model="late")
        with write_transaction(engine) as connection:
            connection.execute(calls.insert(), [late])
        told.append(str(UUID(bytes=late["id"])))
    engine.dispose()


def record(url: str, recorded: list[int], stop: Event) -> int:
    """Records calls of today, and tells how many there are; how many that were in the end."""
    with (
        FakeOpenRouter() as server,
        tachograph.Recorder(url, base_urls=[server.base_url]) as recorder,
        tachograph.instrument(httpx.Client(), recorder) as client,
    ):
        made = 0
        while not stop.is_set():
            server.script(Chat("Hello").plain())
            client.post(f"{server.base_url}/chat/completions", json={"model": "a/b"})
            made += 1
            if recorder.flush():
                recorded.append(made)
    return made


@contextmanager
def others(url: str, folder: Path) -> Iterator[tuple[list[str], list[int], Callable[[], bool]]]:
    """Late calls, a recorder and an archive at work, and whether all that came late is archived."""
    told: list[str] = []
    recorded: list[int] = []
    stop = Event()

    def move(late: Future[None]) -> None:
        while not late.done():
            archive_calls(url, END, folder)
        archive_calls(url, END, folder)

    with ThreadPoolExecutor(3) as threads:
        recording = threads.submit(record, url, recorded, stop)
        late = threads.submit(late_calls, url, told)
        moving = threads.submit(move, late)
        try:
            yield told, recorded, moving.done
        finally:
            stop.set()
    late.result()
    moving.result()
    recorded.append(recording.result())


def test_each_call_is_read_once_whatever_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MANY", 40)  # a day has several parts,
    monkeypatch.setattr(archive, "LOOKED_AT", 25)  # is deleted in several,
    monkeypatch.setattr(archived, "BYTES_AT_ONCE", 1)  # and read for itself
    folder = tmp_path / "archive"
    folder.mkdir()
    url = store([row(timedelta(minutes=20 * k)) for k in range(300)])
    first = read_calls(url)["id"].to_list()
    with others(url, folder) as (told, recorded, done):
        finished = False
        while not finished:
            finished = done()
            known, today = [*first, *told], recorded[-1] if recorded else 0
            read = scan_calls(url, archive=folder).select("id", "model").collect()
            assert read["id"].n_unique() == len(read)
            assert set(known) <= set(read["id"])
            assert read["model"].eq("a/b").sum() >= today
    after = scan_calls(url, archive=folder).select("id", "model").collect()
    assert len(after) == len(set(after["id"])) == 300 + LATE + recorded[-1]
    assert count_calls(url, until=END - timedelta(days=1), at_most=1) == 0


def test_what_comes_all_the_time_waits_for_the_next_run(store: Store, tmp_path: Path) -> None:
    url = store([row(timedelta(minutes=minute)) for minute in range(5)] + [row(timedelta(days=1))])
    first = set(read_calls(url)["id"])
    engine = open_engine(url)
    came: list[int] = []

    def another(done: int, whole: int) -> None:
        came.append(done)
        with write_transaction(engine) as connection:
            connection.execute(calls.insert(), [row(timedelta(seconds=len(came)))])

    done = archive_calls(url, END, tmp_path, progress=another)
    engine.dispose()
    everything = 6 + len(came)
    assert first.isdisjoint(read_calls(url)["id"])  # nor does what came keep others from leaving
    assert 0 < count_calls(url, at_most=1000) == everything - done.deleted
    assert read_calls(url, archive=tmp_path)["id"].n_unique() == everything
    archive_calls(url, END, tmp_path)
    assert count_calls(url, at_most=1000) == 0
    assert len(read_calls(url, archive=tmp_path)) == everything


COMMAND = """
import sys
from tachograph.cli import main
print("ready", flush=True)
sys.stdin.read()
main()
"""


def test_of_commands_that_begin_at_once_the_others_say_so_and_end(
    sqlite_store: Store, tmp_path: Path
) -> None:
    url, folder = sqlite_store([row(timedelta(minutes=k)) for k in range(5000)]), tmp_path / "to"
    before = read_calls(url)
    asked = ["archive", "--before", "2026-11-05", "--to", str(folder), "--db", url]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, *asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = [process.communicate() for process in running]
    statuses = sorted(process.returncode for process in running)
    assert statuses[0] == 0
    for process, (_, wrong) in zip(running, said, strict=True):
        assert process.returncode == 0 or "somebody else is writing" in wrong.replace("\n", " ")
    assert read_calls(url, archive=folder).equals(before)
    assert count_calls(url, until="2026-11-05", at_most=1) == 0
