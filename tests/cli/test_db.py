"""`tachograph db`: what an operator types after an upgrade and after a crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tachograph import cli
from tachograph.store import migrate
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.schema import REVISION, calls

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line: its exit status, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tachograph", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_upgrade_says_what_it_did(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    assert run("db", "upgrade", "--db", url) == (
        0,
        f"{url} has been upgraded from nothing to {REVISION}\n",
        "",
    )
    assert run("db", "upgrade", "--db", url) == (0, f"{url} has revision {REVISION} already\n", "")


def test_current(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    (tmp_path / "calls.db").touch()
    assert run("db", "current", "--db", url) == (0, "none\n", "")
    run("db", "upgrade", "--db", url)
    assert run("db", "current", "--db", url) == (0, f"{REVISION}\n", "")


def test_check_fails_until_the_database_is_upgraded(run: Run, postgres_url: str) -> None:
    status, out, err = run("db", "check", "--db", postgres_url)
    assert (status, out) == (1, "")
    assert "has no tables of tachograph" in err
    assert "run `tachograph db upgrade --db postgresql://" in err
    run("db", "upgrade", "--db", postgres_url)
    status, out, err = run("db", "check", "--db", postgres_url)
    assert (status, err) == (0, "")
    assert f"has revision {REVISION}" in out


def test_partitions_are_made_at_first_and_extended_later(run: Run, postgres_url: str) -> None:
    status, out, _ = run("db", "upgrade", "--partitioned", "--db", postgres_url)
    assert status == 0
    assert "new partitions: calls_" in out
    assert "partitions" not in run("db", "upgrade", "--db", postgres_url)[1]
    status, out, err = run("db", "upgrade", "--partitioned", "--db", postgres_url)
    assert (status, out) == (2, "")
    assert "for a new database" in err


def test_the_environment_names_the_database(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_DB", f"sqlite:///{tmp_path}/calls.db")
    run("db", "upgrade")
    assert (tmp_path / "calls.db").exists()


def test_a_missing_file_is_one_line(run: Run, tmp_path: Path) -> None:
    status, out, err = run("db", "check", "--db", f"sqlite:///{tmp_path}/calls.db")
    assert (status, out) == (1, "")
    assert err.startswith(f"tachograph: there is no database at {tmp_path}/calls.db")
    assert err.count("\n") == 1


DIES_AFTER_A_CALL = """
import os, sys, httpx, tachograph
from tachograph.httpx import RecordingTransport
answer = {"id": "gen-1", "model": "a/b", "choices": [{"finish_reason": "stop"}]}
inner = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
recorder = tachograph.Recorder(sys.argv[1])
client = httpx.Client(transport=RecordingTransport(recorder, inner))
client.post("https://openrouter.ai/api/v1/chat/completions", json={"model": "a/b"})
os._exit(9)
"""


def test_replay_stores_what_a_crash_left(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    engine = open_engine(url)
    migrate.upgrade(engine)
    with write_transaction(engine):  # nobody else can write: the call stays in the journal
        died = subprocess.run([sys.executable, "-c", DIES_AFTER_A_CALL, url], check=False)
    assert died.returncode == 9
    status, out, _ = run("db", "replay", "--db", url)
    assert (status, out) == (
        0,
        f"1 call stored from 1 journal of processes that ended, in {tmp_path}/calls.db.journal\n",
    )
    with engine.connect() as connection:
        assert connection.execute(calls.select()).one().generation_id == "gen-1"
    engine.dispose()
    assert run("db", "replay", "--db", url)[1].startswith("0 calls stored from 0 journals")
