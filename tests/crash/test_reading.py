"""Reading calls, while they are recorded, costs none of them: not even with a kill -9 after it.

What happens otherwise: ADBC brings a SQLite of its own. When it closes a file, the kernel drops the
locks of the whole process, those of the recorder's connection too. The next process that looks at
the file takes itself for the only one and removes the write-ahead log as it leaves, into which the
recorder goes on writing.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tachograph import Recorder
from tachograph.testing import FakeOpenRouter
from tests.required import missing

LOOK = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("SELECT count(*) FROM calls").fetchall()
connection.close()
"""


def lost_after_kill(folder: Path, way: str) -> int:
    """How many of 800 stored calls are gone when a process that recorded and read is killed, and
    another had looked at the file meanwhile."""
    path = folder / "calls.db"
    with FakeOpenRouter() as server:
        child = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("reading_child.py")),
                f"sqlite:///{path}",
                server.base_url,
                way,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            for _ in range(2):
                print("call and read", file=child.stdin, flush=True)
                assert child.stdout.readline() == "read\n"
                subprocess.run([sys.executable, "-c", LOOK, str(path)], check=True)
                print("call again", file=child.stdin, flush=True)
                acknowledged = child.stdout.readline().split()
            child.kill()
    with Recorder(f"sqlite:///{path}") as recorder:
        assert recorder.flush(30)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = {found for (found,) in connection.execute("SELECT generation_id FROM calls")}
    connection.close()
    assert len(acknowledged) == 800
    return len(set(acknowledged) - stored)


@pytest.fixture(autouse=True)
def adbc() -> None:
    try:
        import adbc_driver_sqlite  # noqa: F401
    except ModuleNotFoundError:
        missing("the ADBC driver for SQLite is not installed")


def test_nothing_is_lost(tmp_path: Path) -> None:
    assert lost_after_kill(tmp_path, "as we do") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="its file locks belong to the handle")
def test_what_the_processes_are_for(tmp_path: Path) -> None:
    assert lost_after_kill(tmp_path, "in this process") > 0
