"""`tachograph archive`, and the commands that read what it wrote."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl

from tests.analytics.rows import row
from tests.cli.conftest import Run, stored


def days(path: Path) -> str:
    return stored(
        path / "calls.db",
        [
            row(timedelta(hours=8 * n), model="ab"[n % 2], billed_picousd=Decimal(n))
            for n in range(10)
        ],
    )


def test_archive_and_what_reads_it(tachograph: Run, tmp_path: Path) -> None:
    db, to = days(tmp_path), str(tmp_path / "archive")
    report = ("report", "--db", db, "--format", "json")
    before = tachograph(*report).json
    kept = tachograph("archive", "--db", db, "--before", "2026-11-03", "--to", to, "--keep")
    assert kept.out.splitlines()[0].startswith("2 days before 2026-11-03, 5 calls, ")
    assert kept.out.splitlines()[0].endswith(f" bytes, written to {to}")
    assert kept.out.splitlines()[1] == "0 calls left the database"
    assert tachograph(*report, "--archive", to).json == before
    moved = tachograph("archive", "--db", db, "--before", "2026-11-03T12:00Z", "--to", to)
    assert moved.out.splitlines()[1] == "5 calls left the database"
    again = tachograph("archive", "--db", db, "--before", "2026-11-03", "--to", to)
    assert again.out == "nothing new before 2026-11-03\n"
    assert tachograph(*report).json != before
    assert tachograph(*report, "--archive", to).json == before
    audit = tachograph("audit", "--db", db, "--archive", to)
    assert "of the bill of 10 calls" in audit.err
    file = tmp_path / "all.parquet"
    tachograph("export", "calls", "--db", db, "--archive", to, "--to", str(file))
    exported = pl.read_parquet(file).sort("id")
    assert len(exported) == 10
    oldest = exported["id"][0]
    assert "--archive" in tachograph("show", oldest, "--db", db).err
    shown = tachograph("show", oldest, "--db", db, "--archive", to, "--format", "json")
    assert [call["id"] for call in shown.json["calls"]] == [oldest]


def test_a_wrong_folder_is_a_clear_error(tachograph: Run, tmp_path: Path) -> None:
    db = days(tmp_path)
    ran = tachograph("report", "--db", db, "--archive", str(tmp_path / "typo"))
    assert ran.status == 1
    assert f"there is no archive at {tmp_path}/typo" in ran.err.replace("\n", "")
