"""kill -9 at any moment: a call whose end its caller has seen is in SQL after the next start, once.

A dozen kills here; `make crash` asks for more through TACHOGRAPH_TEST_KILLS.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tachograph import Recorder
from tachograph.store.database import open_engine
from tachograph.store.folder import journal_folder
from tachograph.store.ledger import read_ledger
from tachograph.testing import FakeOpenRouter

KILLS = int(os.environ.get("TACHOGRAPH_TEST_KILLS", "12"))


def killed_after(acknowledgements: int, url: str, base_url: str, threads: int) -> list[str]:
    """What a child acknowledged before it was killed, soon after so many acknowledgements."""
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("child.py")), url, base_url, str(threads)],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    seen = [child.stdout.readline() for _ in range(acknowledgements)]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().splitlines(keepends=True)
    child.wait()
    child.stdout.close()
    return [line.decode().strip() for line in (*seen, *rest) if line.endswith(b"\n")]


@pytest.mark.parametrize("seed", range(KILLS))
def test_what_the_caller_saw_is_in_sql(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    acknowledged: list[str] = []
    with FakeOpenRouter() as server:
        for _ in range(choose.choice([1, 1, 2])):
            acknowledged += killed_after(
                choose.randint(1, 150), url, server.base_url, choose.choice([1, 4])
            )
    with Recorder(url) as recorder:
        assert recorder.flush(30)
    with sqlite3.connect(tmp_path / "calls.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT generation_id, outcome, error_type FROM calls").fetchall()
    connection.close()
    finished = [row[0] for row in rows if row[1] == "completed"]
    assert set(acknowledged) <= set(finished)
    assert len(finished) == len(set(finished))
    assert {row[1:] for row in rows} <= {("completed", None), ("abandoned", "interrupted")}
    engine = open_engine(url, read_only=True)
    ledger = read_ledger(engine, journal_folder(url))
    assert ledger.total.made == ledger.total.stored == len(rows)
    assert ledger.journal_bytes == 0
