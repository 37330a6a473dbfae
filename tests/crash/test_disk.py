"""The disk is full, the folder read-only, the file locked: calls go on, and all of them arrive.

The lock is short here; `make crash` asks for half a minute through TACHOGRAPH_TEST_LOCK (seconds).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tachograph.store.database import open_engine
from tachograph.store.folder import journal_folder
from tachograph.store.ledger import read_ledger
from tachograph.testing import FakeOpenRouter
from tests.required import missing

LOCK_SECONDS = float(os.environ.get("TACHOGRAPH_TEST_LOCK", "1"))
CALLS = 300


class App:
    """A process that records and does what it is told; what it logs is in a file."""

    def __init__(self, url: str, server: FakeOpenRouter, log: Path, *, prefix: list[str]) -> None:
        self.seen: list[str] = []
        self.log = log
        program = str(Path(__file__).with_name("child.py"))
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, program, "obey", url, server.base_url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def _ask(self, order: str) -> tuple[Any, dict[str, Any]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        done, status = json.loads(self.process.stdout.readline())
        return done, status

    def call(self, number: int) -> dict[str, Any]:
        """So many calls; the status then."""
        done, status = self._ask(f"call {number}")
        self.seen += done
        return status

    def flush(self, seconds: float) -> bool:
        done, _ = self._ask(f"flush {seconds}")
        return bool(done)

    def status(self) -> dict[str, Any]:
        return self._ask("call 0")[1]

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 60
        while words not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(60) == 0


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        missing("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def unprivileged() -> list[str]:
    """What to begin a command with, so that a read-only folder refuses it as it would a user."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        missing("setpriv is needed, so that root can be refused something")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    return filler


def assert_all_arrived(file: Path, seen: list[str], folder: Path) -> None:
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = [row[0] for row in connection.execute("SELECT generation_id FROM calls")]
    connection.close()
    assert sorted(stored) == sorted(seen)
    assert list(folder.iterdir()) == []
    engine = open_engine(f"sqlite:///{file}", read_only=True)
    total = read_ledger(engine, folder).total
    assert (total.made, total.stored, total.waiting, total.dropped) == (len(seen),) * 2 + (0, {})


@pytest.mark.parametrize("on_it", ["database and journal", "journal", "database"])
def test_a_full_disk(
    tmp_path: Path,
    small_disk: Path,
    server: FakeOpenRouter,
    monkeypatch: pytest.MonkeyPatch,
    on_it: str,
) -> None:
    file = (small_disk if "database" in on_it else tmp_path) / "calls.db"
    journals = small_disk if "journal" in on_it else tmp_path
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(journals))
    url = f"sqlite:///{file}"
    app = App(url, server, tmp_path / "log", prefix=[])
    app.call(20)
    assert app.flush(20)
    filler = fill(small_disk)
    status = app.call(CALLS)
    assert status["made"] == CALLS + 20
    assert status["dropped"] == {}
    if "database" in on_it:
        assert not app.flush(0.5)
        assert app.status()["waiting"] > 0
        app.wait_for("cannot be written, calls wait in the journal")
    if "journal" in on_it:
        assert app.log.read_text().count("No space left on device") == 2  # once, with where
    filler.unlink()
    app.call(20)
    assert app.flush(30)
    status = app.status()
    assert (status["made"], status["stored"], status["waiting"]) == (CALLS + 40,) * 2 + (0,)
    app.end()
    assert_all_arrived(file, app.seen, journal_folder(url, journals))


def test_a_limit_on_the_size_of_files(tmp_path: Path, server: FakeOpenRouter) -> None:
    file = tmp_path / "calls.db"
    url = f"sqlite:///{file}"
    app = App(url, server, tmp_path / "log", prefix=[])
    app.call(20)
    assert app.flush(20)
    largest = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    while app.call(100)["waiting"] < CALLS:
        assert len(app.seen) < 10_000
    app.wait_for("cannot be written, calls wait in the journal")
    no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(app.process.pid, resource.RLIMIT_FSIZE, no_limit)
    assert app.flush(30)
    assert app.status()["dropped"] == {}
    app.end()
    assert_all_arrived(file, app.seen, journal_folder(url))


def test_a_folder_that_is_read_only_from_the_start(
    tmp_path: Path,
    server: FakeOpenRouter,
    unprivileged: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path / "journals"))
    folder = tmp_path / "data"
    folder.mkdir(mode=0o555)
    url = f"sqlite:///{folder / 'calls.db'}"
    app = App(url, server, tmp_path / "log", prefix=unprivileged)
    status = app.call(CALLS)
    assert (status["made"], status["stored"], status["waiting"]) == (CALLS, 0, CALLS)
    app.wait_for("cannot be written, calls wait in the journal")
    assert not app.flush(0.1)
    folder.chmod(0o755)
    assert app.flush(30)
    app.end()
    assert_all_arrived(folder / "calls.db", app.seen, journal_folder(url, tmp_path / "journals"))


def test_folders_that_become_read_only(
    tmp_path: Path, server: FakeOpenRouter, unprivileged: list[str]
) -> None:
    """What is open stays writable; nothing can be made or deleted."""
    folder = tmp_path / "data"
    folder.mkdir()
    url = f"sqlite:///{folder / 'calls.db'}"
    app = App(url, server, tmp_path / "log", prefix=unprivileged)
    app.call(20)
    assert app.flush(20)
    journals = journal_folder(url)
    for place in (folder, journals):
        place.chmod(0o555)
    app.call(CALLS)
    assert app.flush(20)
    assert app.status()["stored"] == CALLS + 20
    app.end()
    for place in (folder, journals):
        place.chmod(0o755)
    again = App(url, server, tmp_path / "log", prefix=unprivileged)  # clears the journal away
    assert again.flush(30)
    again.end()
    assert_all_arrived(folder / "calls.db", app.seen, journals)


def test_a_file_that_another_process_locks(tmp_path: Path, server: FakeOpenRouter) -> None:
    file = tmp_path / "calls.db"
    app = App(f"sqlite:///{file}", server, tmp_path / "log", prefix=[])
    app.call(20)
    assert app.flush(20)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    until = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < until:
        status = app.call(10)
        assert status["stored"] == 20
        time.sleep(LOCK_SECONDS / 50)
    other.execute("COMMIT")
    other.close()
    assert app.flush(30)
    app.end()
    assert_all_arrived(file, app.seen, journal_folder(f"sqlite:///{file}"))
