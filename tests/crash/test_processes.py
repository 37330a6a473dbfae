"""Processes record into one database, however they are started: every call is there, once.

A few of them here; `make crash` asks for eight through TACHOGRAPH_TEST_PROCESSES, and for 1,000
calls of each through TACHOGRAPH_TEST_CALLS.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph.testing import FakeOpenRouter
from tests.crash.places import Place
from tests.crash.starting import PROCESSES
from tests.required import missing

CALLS = int(os.environ.get("TACHOGRAPH_TEST_CALLS", "20"))
HERE = Path(__file__).parent
PARTS = 4
"""Requests or tasks for each worker of gunicorn and celery, to go round."""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


def assert_each_once(place: Place, calls: int) -> None:
    place.take_up()  # what a process that ended without a word had left
    rows = place.calls()
    assert {(row.outcome, row.error_type) for row in rows} == {("completed", None)}
    assert len(rows) == len({row.generation_id for row in rows}) == calls
    place.assert_whole()
    place.assert_settled(calls)


@pytest.mark.parametrize(
    ("way", "more"),
    [("fork", 1), ("spawn", 0), ("forkserver", 0), ("subprocesses", 0), ("os_fork", 1)],
)
def test_processes(place: Place, server: FakeOpenRouter, way: str, more: int) -> None:
    program = str(HERE / "starting.py")
    done = subprocess.run(
        [sys.executable, program, way, place.url, server.base_url, str(CALLS)],
        capture_output=True,
        text=True,
        timeout=60 + CALLS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert_each_once(place, PROCESSES * CALLS + more)


class Service:
    """A program of many workers that runs until it is told to end."""

    def __init__(self, place: Place, server: FakeOpenRouter, log: Path, **extra: str) -> None:
        self.log = log
        self._environment = {
            **os.environ,
            "TACHOGRAPH_TEST_URL": place.url,
            "TACHOGRAPH_TEST_BASE": server.base_url,
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            **extra,
        }

    def start(self, *command: str) -> None:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdout=output,
                stderr=output,
                env=self._environment,
            )

    def wait_until(self, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60 + CALLS
        while not met():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()


def test_gunicorn_with_preload(place: Place, server: FakeOpenRouter, tmp_path: Path) -> None:
    if importlib.util.find_spec("gunicorn") is None:
        missing("gunicorn is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    service = Service(place, server, tmp_path / "log")
    options = ["--preload", "--workers", str(PROCESSES), "--bind", address, "--timeout", "300"]
    service.start("gunicorn", *options, "starting:web_app()")
    service.wait_until(lambda: "Booting worker" in service.log.read_text())

    def ask(_: int) -> str:
        url = f"http://{address}/?{CALLS // PARTS}"
        return httpx.get(url, timeout=300).raise_for_status().text

    with ThreadPoolExecutor(PROCESSES) as pool:
        workers = set(pool.map(ask, range(PROCESSES * PARTS)))
    assert len(workers) > 1
    service.end()
    assert_each_once(place, PROCESSES * PARTS * (CALLS // PARTS) + 1)


def test_celery_with_prefork(place: Place, server: FakeOpenRouter, tmp_path: Path) -> None:
    if importlib.util.find_spec("celery") is None:
        missing("celery is not installed")
    folder = tmp_path / "queue"
    folder.mkdir()
    service = Service(place, server, tmp_path / "log", TACHOGRAPH_TEST_FOLDER=str(folder))
    service.start(
        *("celery", "--app", "starting", "worker", "--pool", "prefork"),
        *("--concurrency", str(PROCESSES), "--loglevel", "INFO"),
    )
    calls = PROCESSES * PARTS * (CALLS // PARTS) + 1
    service.wait_until(lambda: len(server.requests) > 0)
    queue(folder, PROCESSES * PARTS)
    service.wait_until(lambda: len(server.requests) >= calls)
    service.wait_until(lambda: service.log.read_text().count("succeeded") == PROCESSES * PARTS)
    service.end()
    assert_each_once(place, calls)


def queue(folder: Path, tasks: int) -> None:
    """Sends the tasks, from this process, which has no recorder."""
    options = {"data_folder_in": str(folder), "data_folder_out": str(folder)}
    app: Any = import_module("celery").Celery("sender", broker="filesystem://")
    app.conf.update(
        broker_transport_options={**options, "control_folder": str(folder)},
        task_ignore_result=True,
    )
    for _ in range(tasks):
        app.send_task("work", args=[CALLS // PARTS])
    app.close()
