"""`tachograph rollup`, and reports from what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

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
        for line, like in zip(found.json, expected, strict=True):
            assert line.keys() == like.keys()
            for name, value in line.items():
                near = isinstance(value, float)  # quantiles are of the histogram
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
