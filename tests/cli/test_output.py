"""What people and programs read: exact money, instants with Z, unknown told from zero."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tachograph.cli.options import Format
from tachograph.cli.output import show
from tachograph.cli.values import digits

if TYPE_CHECKING:
    from collections.abc import Iterator


class Rows:
    """The least that can be shown."""

    def __init__(self, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        self.columns = columns
        self._rows = rows

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CALLS = Rows(
    ["model", "calls", "failure_rate", "spent_usd", "started_at", "latency_seconds", "stream"],
    [
        ("a/b", 12345, 0.25, Decimal("0.000000009375"), NOON, 0.5, True),
        (None, 0, None, Decimal("12"), NOON.astimezone(timezone(timedelta(hours=5))), None, None),
    ],
)


def test_json_has_money_as_digits_and_unknown_as_null(capsys: pytest.CaptureFixture[str]) -> None:
    show(CALLS, Format.JSON, headings={"model": "model"})
    assert json.loads(capsys.readouterr().out) == [
        {
            "model": "a/b",
            "calls": 12345,
            "failure_rate": 0.25,
            "spent_usd": "0.000000009375",
            "started_at": "2026-11-01T12:00:00Z",
            "latency_seconds": 0.5,
            "stream": True,
        },
        {
            "model": None,
            "calls": 0,
            "failure_rate": None,
            "spent_usd": "12",
            "started_at": "2026-11-01T12:00:00Z",
            "latency_seconds": None,
            "stream": None,
        },
    ]


def test_json_of_nothing_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    show(Rows(["model"], []), Format.JSON)
    assert json.loads(capsys.readouterr().out) == []


def test_csv_has_the_same_values(capsys: pytest.CaptureFixture[str]) -> None:
    show(CALLS, Format.CSV)
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == CALLS.columns
    assert rows[2][3:6] == ["12", "2026-11-01T12:00:00Z", ""]


def test_a_table_aligns_money_and_tells_unknown_from_zero(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(
        CALLS,
        Format.TABLE,
        headings={"model": "model", "calls": "calls", "failure_rate": "failed", "spent_usd": "$"},
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["model", "calls", "failed", "$"]
    assert lines[2] == ["a/b", "12,345", "25.0%", "0.000000009375"]
    assert lines[3] == ["-", "0", "-", "12.000000000000"]


MONEY = {"model": "model", "spent_usd": "USD"}


def test_numbers_of_which_none_is_known_stand_where_numbers_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(Rows(["model", "spent_usd"], [("a/b", None)]), Format.MARKDOWN, headings=MONEY)
    assert capsys.readouterr().out.splitlines()[1:] == ["| ----- | --: |", "| a/b   |   - |"]


def test_a_piped_table_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "m" * 300
    show(Rows(["model"], [(long,)]), Format.TABLE)
    assert long in capsys.readouterr().out


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        ("0", 0, "0"),
        ("0E-12", 0, "0"),
        ("100", 0, "100"),
        ("1.230000000000", 0, "1.23"),
        ("1", 2, "1.00"),
        ("-0.5", 2, "-0.50"),
        ("1E-12", 0, "0.000000000001"),
        ("99999999999999999999999999.000000000001", 0, "99999999999999999999999999.000000000001"),
    ],
)
def test_digits_are_all_there(amount: str, places: int, text: str) -> None:
    assert digits(Decimal(amount), places) == text


def test_a_table_that_is_a_little_too_wide_closes_up_before_it_breaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = Rows(["model", "one", "other"], [("m" * 30, "x" * 30, "y" * 36)])
    monkeypatch.setenv("COLUMNS", "99")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(frame, Format.TABLE)
    assert f"{'m' * 30} {'x' * 30} {'y' * 36}" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "100")
    show(frame, Format.TABLE)
    assert f"{'m' * 30}  {'x' * 30}  {'y' * 36}" in capsys.readouterr().out


def test_a_narrow_screen_does_without_spare_columns_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = Rows(["model", "one", "other"], [("m" * 30, "x" * 30, "y" * 36)])
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show(frame, Format.TABLE, headings={"model": "model", "one": "1", "other": "2"}, spare=["one"])
    written = capsys.readouterr()
    assert f"{'m' * 30} {'y' * 36}" in written.out
    assert "x" not in written.out
    assert written.err == "left out in 70 columns: 1\n"


def test_a_pipe_gets_spare_columns_too(capsys: pytest.CaptureFixture[str]) -> None:
    show(Rows(["one", "other"], [("x" * 300, "y" * 300)]), Format.TABLE, spare=["one"])
    written = capsys.readouterr()
    assert "x" * 300 in written.out
    assert written.err == ""


@pytest.mark.parametrize("form", [Format.TABLE, Format.MARKDOWN])
def test_what_people_are_shown_does_nothing_to_their_terminal(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    rogue = "\x1b]0;owned\a\x1b[2Jgone\r\nnext\u202eexe.gnp"
    show(Rows(["model", "models"], [(rogue, [rogue])]), form)
    shown = capsys.readouterr().out
    assert shown.count("gone next\ufffdexe.gnp") == 2
    assert not set(shown) & set("\x1b\a\r\u202e")


def test_programs_read_names_as_they_were_sent(capsys: pytest.CaptureFixture[str]) -> None:
    rogue = '=HYPERLINK("x")\x1b[2J\u202e'
    rows = Rows(["model"], [(rogue,)])
    show(rows, Format.CSV)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [["model"], [rogue]]
    show(rows, Format.JSON)
    assert json.loads(capsys.readouterr().out) == [{"model": rogue}]


def test_markdown_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    odd = "<script>|*a*_b_`c`[d](e)\\ & \n~#"
    show(Rows(["model", "calls"], [(odd, 1), ("a/b", 23456)]), Format.MARKDOWN)
    head, rule, first, second = capsys.readouterr().out.splitlines()
    assert (rule.split("|")[2].strip(), head.split("|")[1].strip()) == ("-----:", "model")
    assert first.count("|") - first.count("\\|") == 3
    assert "\\<script\\>\\|\\*a\\*\\_b\\_\\`c\\`\\[d\\](e)\\\\ &amp;" in first
    assert second.endswith("| 23,456 |")
