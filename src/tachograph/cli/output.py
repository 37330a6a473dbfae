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
    from collections.abc import Iterator, Mapping, Sequence

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
    total: Mapping[str, Any] | None = None,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write a frame to standard output.

    For the table, `headings` chooses the columns and what stands above each, and `total` is a
    last line below all. `more` names columns whose values get a `+` where another column counts
    what they leave out. JSON and CSV have every column under its own name, and no total.
    """
    if form is Format.JSON:
        _write_json(frame)
    elif form is Format.CSV:
        _write_csv(frame)
    else:
        headings = headings or {name: name for name in frame.columns}
        _write_table(frame, headings, title, total, more or {})


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


def _write_table(
    frame: Frame,
    headings: Mapping[str, str],
    title: str | None,
    total: Mapping[str, Any] | None,
    more: Mapping[str, str],
) -> None:
    rows = [dict(zip(frame.columns, row, strict=True)) for row in frame.iter_rows()]
    table = Table(
        box=box.SIMPLE,
        title=title,
        title_style="bold",
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
        show_footer=total is not None and len(rows) > 1,
    )
    lines = [*rows, total or {}]
    columns = []
    for name, heading in headings.items():
        *cells, last = column_cells(name, [line.get(name) for line in lines])
        if name in more and any(line.get(more[name]) for line in lines):
            for cell, line in zip([*cells, last], lines, strict=True):
                cell.append("+" if line.get(more[name]) and line.get(name) is not None else " ")
        is_number = any(_is_number(row[name]) for row in rows)
        table.add_column(
            heading,
            footer=last if name in (total or {}) else "",
            justify="right" if is_number else "left",
            overflow="fold",
        )
        columns.append(cells)
    for line in zip(*columns, strict=True):
        table.add_row(*line)
    # a pipe has no width: whoever reads it gets whole lines
    width = None if sys.stdout.isatty() else _NATURAL_WIDTH
    Console(highlight=False, width=width).print(table)


def column_cells(name: str, values: Sequence[Any]) -> list[Text]:
    """The values of one column as people see them, aligned to each other."""
    money = [digits(value) for value in values if isinstance(value, Decimal)]
    places = max((len(text.partition(".")[2]) for text in money), default=0)
    return [
        Text(UNKNOWN, style="dim") if value is None else Text(_words(name, value, max(places, 2)))
        for value in values
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _words(name: str, value: Any, places: int) -> str:
    if isinstance(value, Decimal):
        return digits(value, places)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if not _is_number(value):
        return str(value)
    if name.endswith("_rate"):
        return f"{value:.1%}"
    if name.endswith("_seconds"):
        return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"
    if name.endswith("_tokens"):
        return _rounded(value)
    if isinstance(value, float):
        return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
    return f"{value:,}"


def _rounded(number: int) -> str:
    """A large number in four digits or so: 12,345 and 123k and 1.23M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.3g}"
    return f"{number / 1000:.0f}k" if abs(number) >= 100_000 else f"{number:,}"
