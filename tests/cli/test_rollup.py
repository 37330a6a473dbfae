"""`tachograph rollup`, and reports from what it keeps."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tachograph.analytics import roll_up
from tachograph.cli import report
from tachograph.core.units import microseconds
from tests.analytics.rolled import add
from tests.analytics.rows import NOON, row
from tests.cli.conftest import Run


@pytest.mark.parametrize("kind", ["models", "days", "hours", "names"])
def test_a_report_from_rollups_is_that_of_the_calls(
    tachograph: Run, db: str, tmp_path: Path, kind: str
) -> None:
    first = tachograph("rollup", "--db", db, "--to", str(tmp_path / "sums"))
    assert first.out.startswith("3 calls of 1 day rolled up\n1 day written to")
    again = tachograph("rollup", "--db", db)
    assert again.out == "0 calls of 0 days rolled up\n"
    expected = tachograph("report", kind, "--db", db, "--format", "json").json
    for origin in ("rollups", str(tmp_path / "sums")):
        found = tachograph("report", kind, "--db", db, "--from", origin, "--format", "json")
        assert "quantiles within 1 %" in found.err
        assert_alike(found.json, expected)


def assert_alike(lines: Any, expected: Any) -> None:
    """The same but for quantiles, which may be of a histogram."""
    for line, like in zip(lines, expected, strict=True):
        assert line.keys() == like.keys()
        for name, value in line.items():
            near = isinstance(value, float)
            assert value == (pytest.approx(like[name], rel=0.01) if near else like[name])


def test_what_rollups_cannot_tell_is_said_at_once(tachograph: Run, db: str) -> None:
    tachograph("rollup", "--db", db)
    asked = tachograph("report", "sessions", "--db", db, "--from", "rollups")
    assert asked.status == 2
    assert "models, providers" in asked.err
    asked = tachograph("report", "--db", db, "--from", "rollups", "--where", "user_id = 'u'")
    assert asked.status == 2
    some = ("report", "--db", db, "--from", "rollups", "--format", "json", "--where")
    assert [line["calls"] for line in tachograph(*some, "model = 'b/small'").json] == [2]
    nowhere = tachograph("report", "--db", db, "--from", "no/such/folder")
    assert nowhere.status == 1
    assert "rollup --to" in nowhere.err


def test_where_nothing_was_rolled_up_it_says_so(tachograph: Run, db: str) -> None:
    ran = tachograph("report", "--db", db, "--from", "rollups")
    assert ran.err.endswith("no rollups of this period: `tachograph rollup` makes them\n")


@pytest.fixture
def rolled_up(tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rollups of two of three calls in a database, of which one would be many already."""
    stamp = NOON + timedelta(hours=2)
    roll_up(db, now_us=microseconds(stamp))
    monkeypatch.setattr(report, "MANY", 1)
    return db


@pytest.mark.parametrize("kind", ["models", "models-providers", "days", "hours", "names"])
def test_many_calls_are_told_from_rollups_and_the_calls_since(
    tachograph: Run, rolled_up: str, kind: str
) -> None:
    asked = ("report", kind, "--db", rolled_up, "--format", "json")
    found, expected = tachograph(*asked), tachograph(*asked, "--from", "calls")
    said = "rollups of 2 calls and all others: exact sums, quantiles within 1 %"
    assert found.err == f"{said}\n"
    assert said not in expected.err
    assert sum(line["calls"] for line in found.json) == 3
    assert_alike(found.json, expected.json)


@pytest.mark.parametrize(
    "asked",
    [
        ("sessions",),
        ("latency",),
        ("--where", "user_id = 'u'"),
        ("--where", "started_at IS NOT NULL"),
        ("--where", "spent_usd > 1"),
        ("--from", "calls"),
        ("--since", "2026-11-01T14:00Z"),
    ],
)
def test_what_rollups_cannot_tell_is_read(
    tachograph: Run, rolled_up: str, asked: tuple[str, ...]
) -> None:
    ran = tachograph("report", *asked, "--db", rolled_up)
    assert ran.status == 0
    assert "rollups" not in ran.err


def test_rollups_of_too_little_of_the_period_are_left(tachograph: Run, rolled_up: str) -> None:
    since = ("--since", "2026-11-01T13:30Z")
    assert "rollups" not in tachograph("report", "--db", rolled_up, *since).err
    add(rolled_up, row(timedelta(seconds=1), model="late"))
    ran = tachograph("report", "--db", rolled_up, "--format", "json")
    assert "rollups" not in ran.err
    assert sum(line["calls"] for line in ran.json) == 4


def test_quantiles_of_very_many_groups_are_exact(tachograph: Run, rolled_up: str) -> None:
    for kind in (("sessions",), ("users",), ("tags", "--by", "team")):
        assert tachograph("report", *kind, "--db", rolled_up).err == ""
    assert "1 %" in tachograph("report", "models", "--db", rolled_up, "--from", "calls").err


def test_an_archive_is_read_as_it_is(tachograph: Run, rolled_up: str, tmp_path: Path) -> None:
    done = tachograph(
        "archive", "--db", rolled_up, "--before", "2026-11-01T13:00Z", "--to", str(tmp_path / "a")
    )
    assert done.status == 0
    ran = tachograph("report", "--db", rolled_up, "--archive", str(tmp_path / "a"))
    assert ran.status == 0
    assert "rollups" not in ran.err


def test_conditions_on_what_rollups_tell_apart(tachograph: Run, rolled_up: str) -> None:
    some = ("report", "--db", rolled_up, "--format", "json", "--where")
    for where, calls in [
        ("model LIKE 'b/%'", [2]),
        ("outcome = 'failed' AND provider IS NULL", [1]),
        ("upper(provider) = 'P'", [1, 1]),
    ]:
        ran = tachograph(*some, where)
        assert "rollups of 2 calls" in ran.err
        assert [line["calls"] for line in ran.json] == calls


def test_a_plot_of_rollups(tachograph: Run, rolled_up: str, tmp_path: Path) -> None:
    for kind in ("days", "models"):
        drawn = tmp_path / f"{kind}.svg"
        ran = tachograph("report", kind, "--db", rolled_up, "--plot", str(drawn))
        assert "rollups of 2 calls" in ran.err
        again = tmp_path / f"{kind}-calls.svg"
        tachograph("report", kind, "--db", rolled_up, "--plot", str(again), "--from", "calls")
        same, like = (re.sub(r"clip\d+", "", file.read_text()) for file in (drawn, again))
        assert same == like
