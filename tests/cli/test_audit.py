"""`tachograph audit`: the sums, the calls that differ, and an exit status for automata."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tachograph.cli.audit import audit
from tachograph.store.writing import writing
from tests.stored import store

AGREES = {"model": "a/b", "billed_usd": "1", "computed_usd": "1"}
DIFFERS = {"model": "a/b", "billed_usd": "0.99", "computed_usd": "0.97", "provider": "X"}

app = typer.Typer()
app.command()(audit)


@pytest.fixture
def db(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/calls.db"
    with writing(url) as engine:
        # the difference is near two cents, and no rule knows why
        store(engine, AGREES, DIFFERS | {"computed_usd": "0.9701", "finish_reason": "stop"})
    return url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_sums_by_reason(db: str) -> None:
    done = run("--db", db, "--format", "json")
    assert done.exit_code == 0
    assert [(row["reason"], row["calls"]) for row in json.loads(done.stdout)] == [
        ("unexplained", 1),
        ("agrees", 1),
    ]
    assert "unexplained: 1.0000% of the bill of 2 calls" in done.stderr


@pytest.mark.parametrize(("by", "rows"), [("model", 1), ("provider", 2), ("reason", 2)])
def test_sums_by(db: str, by: str, rows: int) -> None:
    lines = list(csv.DictReader(io.StringIO(run("--db", db, "--by", by, "--format", "csv").stdout)))
    assert len(lines) == rows
    assert lines[0]["difference_usd"] == "0.0199"


def test_the_calls_that_differ(db: str) -> None:
    (row,) = json.loads(run("--db", db, "--by", "call", "--format", "json").stdout)
    assert (row["provider"], row["billed_usd"], row["reason"]) == ("X", "0.99", "unexplained")
    assert "unexplained" in run("--db", db, "--by", "call").stdout


@pytest.mark.parametrize(
    ("share", "status"), [("1%", 0), ("0.01", 0), ("0.9%", 1), ("0", 1), ("2%", 0)]
)
def test_the_exit_status_tells_automata(db: str, share: str, status: int) -> None:
    done = run("--db", db, "--fail-above", share)
    assert done.exit_code == status
    assert done.stdout


@pytest.mark.parametrize("share", ["much", "-1%", "1%%", "nan", ""])
def test_a_share_that_is_none_is_bad_usage(db: str, share: str) -> None:
    assert run("--db", db, "--fail-above", share).exit_code == 2


def test_a_period_without_calls(db: str) -> None:
    done = run("--db", db, "--until", "2020-01-01", "--format", "json", "--fail-above", "0")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
