"""Answers to standard output as a table, JSON or CSV; everything else to standard error.

A column's name tells its unit, and so how people see it: `_usd` is money, shown with as many
digits as the column needs to be true; `_seconds`, `_at`, `_rate`. In JSON and CSV money is digits,
an instant is ISO 8601 with `Z`, unknown is null (an empty field in CSV).
"""

from __future__ import annotations

import csv
import math
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tachograph.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

stderr = Console(stderr=True, highlight=False)
"""Where progress, hints and warnings go."""

UNKNOWN = "-"
_NATURAL_WIDTH = 10_000


class Frame(Protocol):
    """What is shown: a polars DataFrame, or anything with its columns and rows."""

    @property
    def columns(self) -> list[str]: ...

    def iter_rows(self) -> Iterator[tuple[Any, ...]]: ...


def show(
    frame: Frame,
    form: Format,
    *,
    headings: Mapping[str, str] | None = None,
    title: str | None = None,
) -> None:
    """Write a frame to standard output.

    `headings` chooses the columns of the table and what stands above each; JSON and CSV always
    have every column under its own name.
    """
    if form is Format.JSON:
        _write_json(frame)
    elif form is Format.CSV:
        _write_csv(frame)
    else:
        _write_table(frame, headings or {name: name for name in frame.columns}, title)


def plain(value: Any) -> Any:
    """A value as JSON has it: money as digits, instants with `Z`, not-a-number as null."""
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def digits(amount: Decimal, places: int = 0) -> str:
    """All digits of an amount, with at least so many after the point."""
    whole, _, fraction = format(amount, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _write_json(frame: Frame) -> None:
    rows = [
        {name: plain(value) for name, value in zip(frame.columns, row, strict=True)}
        for row in frame.iter_rows()
    ]
    text = msgspec.json.format(msgspec.json.encode(rows), indent=2)
    sys.stdout.write(text.decode() + "\n")


def _write_csv(frame: Frame) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows([plain(value) for value in row] for row in frame.iter_rows())


def _write_table(frame: Frame, headings: Mapping[str, str], title: str | None) -> None:
    shown = list(headings)
    places = [frame.columns.index(name) for name in shown]
    rows = list(frame.iter_rows())
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    cells: list[list[Text]] = []
    for name, place in zip(shown, places, strict=True):
        values = [row[place] for row in rows]
        number = any(isinstance(v, int | float | Decimal) and v is not True for v in values)
        table.add_column(headings[name], justify="right" if number else "left", overflow="fold")
        cells.append(list(column_cells(name, values)))
    for line in zip(*cells, strict=True):
        table.add_row(*line)
    # a pipe has no width: whoever reads it gets whole lines
    width = None if sys.stdout.isatty() else _NATURAL_WIDTH
    Console(highlight=False, width=width).print(table)


def column_cells(name: str, values: Sequence[Any]) -> Iterable[Text]:
    """The values of one column as people see them, aligned to each other."""
    if name.endswith("_usd") or any(isinstance(value, Decimal) for value in values):
        known = [digits(value) for value in values if value is not None]
        places = max((len(text.partition(".")[2]) for text in known), default=0)
        return [_cell(value, lambda v: f"{digits(v, max(places, 2))}") for value in values]
    return [_cell(value, lambda v: _words(name, v)) for value in values]


def _cell(value: Any, words: Any) -> Text:
    return Text(UNKNOWN, style="dim") if value is None else Text(words(value))


def _words(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.endswith("_rate"):
        return f"{value:.1%}"
    if name.endswith("_seconds"):
        return f"{value:.3f}" if value < 100 else f"{value:.1f}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}"
