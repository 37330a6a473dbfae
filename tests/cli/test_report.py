"""`tachograph report`, as people and as programs read it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tachograph import settings
from tachograph.analytics import REPORT_COLUMNS
from tachograph.cli import options, report
from tests.analytics import rows
from tests.cli.conftest import Run, stored


def test_a_table_for_people(tachograph: Run, db: str) -> None:
    ran = tachograph("report", "--db", db)
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0][:3] == ["model", "calls", "failed"]
    assert lines[2] == ["b/small", "2", "50.0%", *["-"] * 6, "0.250000000000+"]
    assert lines[3][:5] == ["a/big", "1", "0.0%", "1.50", "1.50"]
    assert lines[3][5:] == ["-", "-", "1,000", "-", "0.000000000001"]
    assert lines[5] == ["3", "33.3%", "1,000", "-", "0.250000000001+"]
    assert ran.out.endswith("+ and 1 call whose cost is not known\n")
    assert (ran.err, ran.status) == ("", 0)


def test_json_for_programs(tachograph: Run, db: str) -> None:
    small, big = tachograph("report", "models", "--db", db, "--format", "json").json
    assert list(small) == ["model", *REPORT_COLUMNS]
    assert (small["model"], small["calls"], small["spent_usd"]) == ("b/small", 2, "0.25")
    assert small["calls_without_cost"] == 1
    assert big["spent_usd"] == "0.000000000001"


def test_csv_of_providers(tachograph: Run, db: str) -> None:
    ran = tachograph("report", "providers", "--db", db, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["provider"], row["spent_usd"]) for row in rows] == [
        ("P", "0.250000000001"),
        ("", ""),
    ]


def test_a_period(tachograph: Run, db: str) -> None:
    between = ["--since", "2026-11-01T12:30", "--until", "2026-11-01T14:00Z"]
    (only,) = tachograph("report", "--db", db, "--format", "json", *between).json
    assert (only["model"], only["calls"]) == ("b/small", 1)


def test_nothing_recorded_in_the_period(tachograph: Run, db: str) -> None:
    bounds = ["--since", "2026-11-02", "--until", "2026-11-01"]
    for wrong in (bounds, bounds[2:] + bounds[:2]):
        ran = tachograph("report", "--db", db, *wrong)
        assert ran.status == 2
        assert "until 2026-11-01 00:00 is before since" in " ".join(ran.err.split())
    assert tachograph("report", "--db", db, "--until", "2020-01-01", "--format", "json").json == []
    ran = tachograph("report", "--db", db, "--until", "2020-01-01")
    assert (ran.err, ran.status) == ("no calls in this period\n", 0)


def test_many_calls_are_told_to_be_approximate(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MANY", 3)
    ran = tachograph("report", "--db", db, "--format", "json")
    assert "within 1 %" in ran.err
    assert ran.json[1]["latency_p50_seconds"] == pytest.approx(1.5, rel=0.01)
    monkeypatch.setattr(report, "MANY", 4)
    assert tachograph("report", "--db", db).err == ""


def test_the_environment_names_the_database(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{settings.PREFIX}DB", db)
    assert len(tachograph("report", "--format", "json").json) == 2
    assert options.DEFAULT_DB == settings.DEFAULT_DB


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--db", "sqlite:////nowhere/x.db"], 1, "there is no database at /nowhere/x.db"),
        (["--db", "nonsense"], 1, "write sqlite:///nonsense"),
        (["--since", "yesterday"], 2, "yesterday"),
        (["gestern"], 2, "gestern"),
        (["--format", "xml"], 2, "xml"),
        (["--where", "nonsense = 1"], 2, "nonsense"),
        (["--tag", "team"], 2, "TAG=VALUE"),
        (["--tag", "team=a", "--from", "rollups"], 2, "tag"),
        (["--to", "report.xls"], 2, ".parquet"),
        (["--to", "report.csv", "--format", "json"], 2, ".json"),
        (["--plot", "plot.gif"], 2, ".svg"),
        (["tags"], 2, "--by"),
        (["models", "--by", "team"], 2, "--by"),
    ],
)
def test_errors(tachograph: Run, arguments: list[str], status: int, says: str) -> None:
    ran = tachograph("report", *arguments)
    assert (ran.out, ran.status) == ("", status)
    assert says in ran.err
    if status == 1:
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["models-providers"], {"model": "b/small", "provider": "P", "calls": 1}),
        (["days"], {"day": "2026-11-01", "calls": 3}),
        (["hours"], {"hour": "2026-11-01T12:00:00Z", "calls": 1}),
        (["sessions"], {"session_id": None, "calls": 3}),
        (["users"], {"user_id": None, "calls": 3}),
        (["names"], {"name": None, "calls": 3}),
        (["tags", "--by", "team"], {"team": None, "calls": 3}),
        (["latency"], {"model": "a/big", "latency_p50_seconds": 1.5}),
        (["errors"], {"http_status": 502, "share": 1.0}),
        (["retries"], {"model": "b/small", "operations": 2, "retried": 0}),
        (["cache"], {"model": "b/small", "saved_usd": None}),
        (["cost"], {"model": "b/small", "spent_usd_per_success": "0.25"}),
        (["audit"], {"reason": "unpriced", "calls": 1, "billed_usd": "0.25"}),
    ],
)
def test_each_kind(
    tachograph: Run, db: str, arguments: list[str], first: dict[str, object]
) -> None:
    found = tachograph("report", *arguments, "--db", db, "--format", "json").json
    assert first.items() <= found[0].items()
    table = tachograph("report", *arguments, "--db", db)
    assert (table.err, table.status) == ("", 0)
    assert len(table.out.splitlines()) > 2


@pytest.mark.parametrize(
    ("kind", "sums"),
    [
        ("cost", ["3", "2", "0.250000000001+", "-", "0.125000000000"]),
        ("cache", ["3", "1,000", "-", "-", "0", "-"]),
        ("retries", ["3", "0", "0", "0", "-", "0", "0.000"]),
    ],
)
def test_what_adds_up_has_its_sums_below_it(
    tachograph: Run, db: str, kind: str, sums: list[str]
) -> None:
    lines = tachograph("report", kind, "--db", db).out.splitlines()
    below = 1 + max(n for n, line in enumerate(lines) if set(line) == {"\u2500"})
    assert lines[below].split() == sums
    assert ("+ and 1 call whose cost is not known" in lines) is (kind == "cost")


def test_only_calls_like_this_and_only_the_first_lines(tachograph: Run, db: str) -> None:
    where = ["--where", "provider = 'P' AND spent_usd < 0.1"]
    (only,) = tachograph("report", "--db", db, "--format", "json", *where).json
    assert (only["model"], only["calls"]) == ("a/big", 1)
    (first,) = tachograph("report", "--db", db, "--format", "json", "--top", "1").json
    assert first["model"] == "b/small"


def test_only_calls_with_these_tags(tachograph: Run, tmp_path: Path) -> None:
    tags = ['{"team":"search","n":"1=1"}', '{"team":"search"}', '{"team":"ads","n":"1=1"}', None]
    made = [rows.row(n, model=f"m/{n}", tags=tag) for n, tag in enumerate(tags)]
    db = stored(tmp_path / "tags.db", made)

    def models(*asked: str) -> list[str]:
        found = tachograph("report", "--db", db, "--format", "json", *asked).json
        return sorted(line["model"] for line in found)

    assert models("--tag", "team=search") == ["m/0", "m/1"]
    assert models("--tag", "team=search", "--tag", "n=1=1") == ["m/0"]
    assert models("--tag", "team=search", "--where", "model = 'm/1'") == ["m/1"]
    assert models("--tag", "no=") == []


def test_a_long_table_is_cut_and_says_so(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LINES", 1)
    ran = tachograph("report", "--db", db)
    assert "a/big" not in ran.out
    assert ran.err == "1 line more: --top 2 shows all\n"
    assert len(tachograph("report", "--db", db, "--format", "json").json) == 2
    assert "a/big" in tachograph("report", "--db", db, "--top", "2").out


def test_sums_below_the_first_lines_are_told_to_be_of_all(tachograph: Run, tmp_path: Path) -> None:
    db = stored(
        tmp_path / "calls.db", [rows.row(0, model=model) for model in ("a/a", "b/b", "c/c")]
    )
    ran = tachograph("report", "--db", db, "--top", "2")
    assert ran.err == "1 line more: --top 3 shows all, which the sums are of\n"


def test_markdown_for_a_page(tachograph: Run, db: str) -> None:
    lines = tachograph("report", "--db", db, "--format", "md").out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line]
    assert cells[0][:3] == ["model", "calls", "failed"]
    assert {cell[-1] for cell in cells[1][1:3]} == {":"}
    assert cells[2][0] == "b/small"
    assert cells[4][-1] == "0.250000000001+"
    assert lines[-2:] == ["", "+ and 1 call whose cost is not known"]
    assert len({len(line) for line in lines[:5]}) == 1


@pytest.mark.parametrize("kind", [[], ["sessions"], ["audit"], ["errors"]])
def test_parquet_is_what_json_says(
    tachograph: Run, db: str, tmp_path: Path, kind: list[str]
) -> None:
    to = tmp_path / "report.parquet"
    ran = tachograph("report", *kind, "--db", db, "--to", str(to))
    assert (ran.out, ran.err, ran.status) == ("", "", 0)
    found = pl.read_parquet(to)
    said = tachograph("report", *kind, "--db", db, "--format", "json").json
    assert [list(row) for row in said] == [found.columns] * len(found)
    for row, exact in zip(said, found.iter_rows(named=True), strict=True):
        for name, value in exact.items():
            if isinstance(value, Decimal):
                assert value == Decimal(row[name])
            elif isinstance(value, str | int | float | None):
                assert row[name] == value


def test_the_name_of_a_file_says_its_form(tachograph: Run, db: str, tmp_path: Path) -> None:
    for name, begins in {"a.csv": "model,calls", "a.json": "[\n", "a.md": "| model"}.items():
        assert tachograph("report", "--db", db, "--to", str(tmp_path / name)).out == ""
        assert (tmp_path / name).read_text().startswith(begins)
    assert sorted(path.name for path in tmp_path.glob("*a.*")) == ["a.csv", "a.json", "a.md"]


def test_a_file_that_cannot_be_written_is_told_in_a_line(tachograph: Run, db: str) -> None:
    ran = tachograph("report", "--db", db, "--to", "/nowhere/report.csv")
    assert (ran.out, ran.status, ran.err.count("\n")) == ("", 1, 1)
    assert "No such file or directory" in ran.err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (["models"], ["b/small", "spent (USD)"]),
        (["days"], ["day (UTC)", "b/small"]),
        (["latency"], ["a/big", "p99"]),
        (["errors"], ["calls that went wrong"]),
        (["audit"], ["unpriced"]),
        (["cost"], ["USD per 1,000 calls"]),
        (["tags", "--by", "team"], ["(unknown)"]),
    ],
)
def test_a_plot_beside_the_table(
    tachograph: Run, db: str, tmp_path: Path, kind: list[str], words: list[str]
) -> None:
    to = tmp_path / "plot.svg"
    ran = tachograph("report", *kind, "--db", db, "--plot", str(to))
    assert (ran.err, ran.status) == ("", 0)
    assert len(ran.out.splitlines()) > 2
    picture = to.read_text(encoding="utf-8")
    for word in words:
        assert word in picture


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_what_a_plot_lacks_is_named_in_one_line(
    tachograph: Run, db: str, tmp_path: Path, module: str
) -> None:
    code = f"""if True:
        import sys
        sys.modules[{module!r}] = None
        from tachograph.cli import main
        sys.argv = ["tachograph", "report", "--db", {db!r}, "--plot", {str(tmp_path / "x.png")!r}]
        main()
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    lacks = f"{module} is not installed, which this needs: pip install 'tachograph[plots]'"
    assert ran.stderr == f"tachograph: {lacks}\n"
