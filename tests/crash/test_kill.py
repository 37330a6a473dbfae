"""kill -9 at any moment: a call whose end its caller has seen is in SQL after the next start, once.

A dozen kills here; `make crash` asks for more through TACHOGRAPH_TEST_KILLS.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tachograph.core.ids import uuid7
from tachograph.store import migrate
from tachograph.store.journal import Journal
from tachograph.store.schema import REVISION
from tachograph.testing import FakeOpenRouter
from tests.crash.places import Place
from tests.store.old_rows import columns_of, fill, rows_of
from tests.store.test_journal import call, die

KILLS = int(os.environ.get("TACHOGRAPH_TEST_KILLS", "12"))

# each is run on both databases, and kills once or more
CALLING = range(max(1, KILLS // 5))
ADOPTING = range(max(1, KILLS // 13))
MIGRATING = range(max(1, KILLS // 10))


class Child:
    """A process of `child.py`."""

    def __init__(self, *arguments: str) -> None:
        program = str(Path(__file__).with_name("child.py"))
        self.process = subprocess.Popen(
            [sys.executable, program, *arguments], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.says: IO[bytes] = self.process.stdout

    def kill(self) -> list[str]:
        """Ends it; what it had said and nobody had read yet."""
        self.process.send_signal(signal.SIGKILL)
        rest = self.says.read().splitlines(keepends=True)
        self.wait()
        return [line.decode().strip() for line in rest if line.endswith(b"\n")]

    def wait(self) -> int:
        self.says.close()
        return self.process.wait()


@pytest.mark.parametrize("seed", CALLING)
def test_what_the_caller_saw_is_in_sql(place: Place, seed: int) -> None:
    choose = random.Random(seed)
    acknowledged: list[str] = []
    with FakeOpenRouter() as server:
        for _ in range(choose.choice([1, 1, 2])):
            child = Child("call", place.url, server.base_url, choose.choice("14"))
            first = [child.says.readline() for _ in range(choose.randint(1, 150))]
            acknowledged += [line.decode().strip() for line in first]
            time.sleep(choose.uniform(0, 0.06))  # a batch is stored every 50 ms
            acknowledged += child.kill()
    place.take_up()
    place.assert_whole()
    rows = place.calls()
    finished = [row.generation_id for row in rows if row.outcome == "completed"]
    assert set(acknowledged) <= set(finished)
    assert len(finished) == len(set(finished))
    ends = {(row.outcome, row.error_type) for row in rows}
    assert ends <= {("completed", None), ("abandoned", "interrupted")}
    place.assert_settled(len(rows))


@pytest.mark.parametrize("seed", ADOPTING)
def test_who_takes_up_a_journal_may_be_killed_as_well(place: Place, seed: int) -> None:
    choose = random.Random(seed)
    left: list[str] = []
    place.folder.mkdir(parents=True)
    for process in range(3):
        journal = Journal(place.folder, uuid7(process), process, segment_bytes=200_000)
        for n in range(choose.randint(1, 2500)):
            id_ = process * 10_000 + n
            journal.append(call(id_, generation_id=f"gen-{id_}"))
            journal.sync([])
            left.append(f"gen-{id_}")
        journal.begin(call(process * 10_000 + 9_999, outcome="abandoned"))
        die(journal)
    for _ in range(2):
        child = Child("adopt", place.url)
        assert child.says.readline() == b"begun\n"
        time.sleep(choose.uniform(0, 0.5))
        child.kill()
    place.take_up()
    place.assert_whole()
    rows = place.calls()
    ended = [row.generation_id for row in rows if row.outcome == "completed"]
    assert sorted(ended) == sorted(left)
    assert len(rows) == len(left) + 3
    place.assert_settled(len(rows))


@pytest.mark.parametrize("seed", MIGRATING)
def test_a_migration_that_is_killed_has_not_happened(place: Place, seed: int) -> None:
    """On the way up or down, at any of its statements, and after the last before its commit."""
    choose = random.Random(seed)
    migrate.downgrade(place.engine, "0001")
    fill(place.engine, 500)
    columns, rows = columns_of(place.engine), rows_of(place.engine)
    ends = ["0001", REVISION]
    if choose.random() < 0.5:
        migrate.upgrade(place.engine)
        ends.reverse()
    place.engine.dispose()
    child = Child("migrate", place.url, ends[1], str(choose.choice([*range(2, 30), 1000])))
    assert child.wait() == -signal.SIGKILL
    assert migrate.current(place.engine) == ends[0]
    place.assert_whole()
    assert rows_of(place.engine, columns) == rows
    migrate.upgrade(place.engine)
    assert rows_of(place.engine, columns) == rows
    place.assert_whole()
