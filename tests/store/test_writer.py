"""What the writer cannot store now waits, and arrives when it can; no caller notices."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import tachograph
from tachograph import Recorder
from tachograph.store import writer
from tachograph.testing import FakeOpenRouter

ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LONGEST_BACK_OFF_SECONDS", 0.05)


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


class App:
    def __init__(self, url: str, server: FakeOpenRouter) -> None:
        self.recorder = Recorder(url, base_urls=[server.base_url])
        self.client = tachograph.instrument(httpx.Client(base_url=server.base_url), self.recorder)

    def call(self, times: int = 1) -> None:
        for _ in range(times):
            self.client.post("/chat/completions", json=ASKED).raise_for_status()

    def close(self) -> bool:
        self.client.close()
        return self.recorder.close(10)


def rows(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("SELECT count(*) FROM calls").fetchone()[0])
    finally:
        connection.close()


def wait_for(record: str, caplog: pytest.LogCaptureFixture) -> None:
    while record not in caplog.text:
        pass


def test_a_locked_file(
    tmp_path: Path, server: FakeOpenRouter, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "calls.db"
    app = App(f"sqlite:///{file}", server)
    app.call()
    assert app.recorder.flush(10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    app.call(5)
    assert not app.recorder.flush(0.2)
    status = app.recorder.status()
    assert (status.made, status.stored, status.waiting) == (6, 1, 5)
    other.execute("COMMIT")
    other.close()
    assert app.recorder.flush(10)
    assert app.close()
    assert rows(file) == 6


def test_a_database_that_a_newer_version_made(
    tmp_path: Path, server: FakeOpenRouter, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "calls.db"
    assert App(f"sqlite:///{file}", server).close()
    connection = sqlite3.connect(file)
    (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    app = App(f"sqlite:///{file}", server)
    with caplog.at_level(logging.WARNING, "tachograph"):
        app.call(3)
        wait_for("cannot be written, calls wait in the journal", caplog)
        assert "pip install --upgrade tachograph" in caplog.text
        assert rows(file) == 0
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
        connection.close()
        assert app.recorder.flush(10)
        wait_for("takes calls again", caplog)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert app.close()
    assert rows(file) == 3


def test_a_recorder_that_was_closed_too_early_still_stores_what_waits(
    tmp_path: Path, server: FakeOpenRouter
) -> None:
    file = tmp_path / "calls.db"
    app = App(f"sqlite:///{file}", server)
    app.call()
    assert app.recorder.flush(10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    app.call(4)
    app.client.close()
    assert not app.recorder.close(0.1)
    other.execute("ROLLBACK")
    other.close()
    while rows(file) < 5 or list(file.with_name("calls.db.journal").iterdir()):
        pass


def test_a_row_that_is_refused_does_not_stop_the_others(
    tmp_path: Path, server: FakeOpenRouter, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "calls.db"
    assert App(f"sqlite:///{file}", server).close()
    connection = sqlite3.connect(file)
    connection.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON calls WHEN new.name = 'poison' "
        "BEGIN SELECT RAISE(ABORT, 'no poison here'); END"
    )
    connection.commit()
    app = App(f"sqlite:///{file}", server)
    app.call(2)
    with app.recorder.operation("poison"):
        app.call()
    app.call(2)
    assert app.recorder.flush(10)
    status = app.recorder.status()
    assert (status.made, status.stored, status.waiting) == (5, 4, 0)
    assert status.dropped == {"unstorable": 1}
    assert "no poison here" in caplog.text
    assert app.close()
    assert rows(file) == 4
    (reason,) = connection.execute("SELECT reason FROM journal_dead").fetchone()
    connection.close()
    assert "no poison here" in reason


def test_what_cannot_be_read_of_a_call_does_not_stop_it(
    tmp_path: Path,
    server: FakeOpenRouter,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect of ours")

    file = tmp_path / "calls.db"
    app = App(f"sqlite:///{file}", server)
    monkeypatch.setattr(app.recorder._writer._drain._row_maker, "_read_usage", fail)
    app.call(2)
    assert app.recorder.flush(10)
    assert "usage, cost or span of call" in caplog.text
    assert app.close()
    assert rows(file) == 2
