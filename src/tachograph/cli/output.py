"""Answers to standard output as a table, JSON or CSV; everything else to standard error.

A column's name tells its unit, and so how people see it: `_usd` is money, shown with as many
digits as the column needs to be true; `_seconds`, `_at`, `_rate`. In JSON and CSV money is digits,
an instant is ISO 8601 with `Z`, unknown is null (an empty field in CSV).
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
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
_NUMBERS = ("_seconds", "_tokens", "_usd", "_rate")


class Frame(Protocol):
    """What is shown: a polars DataFrame, or anything with its columns and rows."""

    @property
    def columns(self) -> list[str]: ...

    def iter_rows(self) -> Iterator[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Rows:
    """A frame without polars."""

    columns: list[str]
    rows: Iterable[tuple[Any, ...]]

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)


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
        write_json(list(as_objects(frame)))
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
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def digits(amount: Decimal, places: int = 0) -> str:
    """All digits of an amount, with at least so many after the point."""
    whole, _, fraction = format(amount, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def counted(number: int, noun: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write_json(value: Any) -> None:
    """Write one JSON document, whose values are plain, to standard output."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def as_objects(frame: Frame) -> Iterator[dict[str, Any]]:
    """The rows as JSON objects."""
    for row in frame.iter_rows():
        yield {name: plain(value) for name, value in zip(frame.columns, row, strict=True)}


def _write_csv(frame: Frame, *, head: bool = True) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if head:
        writer.writerow(frame.columns)
    writer.writerows([_flat(value) for value in row] for row in frame.iter_rows())


def _flat(value: Any) -> Any:
    """A value in one field: true, lists and objects as in JSON."""
    if isinstance(value, bool | list | dict):
        return msgspec.json.encode(value).decode()
    return plain(value)


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
    for across in zip(*columns, strict=True):
        table.add_row(*across)
    # a pipe has no width: whoever reads it gets whole lines
    width = None if sys.stdout.isatty() else _NATURAL_WIDTH
    console = Console(highlight=False, width=width)
    boundless = console.options.update(max_width=_NATURAL_WIDTH)
    if console.measure(table, options=boundless).maximum > console.width:
        table.padding = 0  # better close together than broken over lines
    console.print(table)


class Stream:
    """Rows that come bit by bit, in one form: JSON is an object a line, the head comes once."""

    def __init__(self, form: Format, headings: Mapping[str, str]) -> None:
        self._form = form
        self._headings = headings
        self._widths = {name: len(heading) for name, heading in headings.items()}
        self._begun = False

    def write(self, frame: Frame) -> None:
        """Write these rows, so that they are seen at once."""
        if self._form is Format.JSON:
            lines = [msgspec.json.encode(row).decode() for row in as_objects(frame)]
        elif self._form is Format.CSV:
            _write_csv(frame, head=not self._begun)
            lines = []
        else:
            lines = list(self._lines(frame))
        self._begun = True
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    def _lines(self, frame: Frame) -> Iterator[str]:
        rows = list(frame.iter_rows())
        columns = []
        for name in self._headings:
            place = frame.columns.index(name)
            cells = [cell.plain for cell in column_cells(name, [row[place] for row in rows])]
            self._widths[name] = max(self._widths[name], *map(len, cells), 0)
            columns.append(cells)
        if not self._begun:
            yield self._line(self._headings.values())
        for line in zip(*columns, strict=True):
            yield self._line(line)

    def _line(self, cells: Iterable[str]) -> str:
        padded = (
            cell.rjust(width) if name.endswith(_NUMBERS) else cell.ljust(width)
            for cell, (name, width) in zip(cells, self._widths.items(), strict=True)
        )
        return "  ".join(padded).rstrip()


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
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if not _is_number(value):
        return str(plain(value))
    if name.endswith(("_rate", "share")):
        return f"{value:.1%}"
    if name.endswith("_seconds"):
        return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"
    if name.endswith("_tokens"):
        return _rounded(value)
    if name.endswith("_per_second"):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _rounded(number: int) -> str:
    """A large number in four digits or so: 12,345 and 123k and 1.23M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.3g}"
    return f"{number / 1000:.0f}k" if abs(number) >= 100_000 else f"{number:,}"
