"""Answers go to standard output in one of the forms of `Format`, all else to standard error."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tachograph.cli.markdown import table_lines
from tachograph.cli.options import Format
from tachograph.cli.values import are_numbers, column_cells, flat, plain
from tachograph.errors import TachographError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import JustifyMethod

stderr = Console(stderr=True, highlight=False)
"""Where progress, hints and warnings go."""


def stdout() -> Console:
    """Where answers for people go; a pipe has no width: whoever reads it gets whole lines."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _NATURAL_WIDTH)


_NATURAL_WIDTH = 10_000


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
    spare: Sequence[str] = (),
) -> None:
    """Write a frame to standard output.

    For tables, `headings` chooses the columns and what stands above each, and `total` is a
    last line below all. `more` names columns whose values get a `+` where another column counts
    what they leave out; `spare` are columns that a narrow screen can do without, the first of
    them first. JSON, CSV and Parquet have every column under its own name, and no total.
    """
    if form is Format.JSON:
        write_json(list(as_objects(frame)))
    elif form is Format.CSV:
        write_csv(frame)
    elif form is Format.PARQUET:
        _write_parquet(frame)
    elif form is Format.MARKDOWN:
        _write_markdown(grid(frame, headings, total, more), title)
    else:
        write_table(grid(frame, headings, total, more), title, spare)


def write_json(value: Any) -> None:
    """Write one JSON document, whose values are plain, to standard output."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def as_objects(frame: Frame) -> Iterator[dict[str, Any]]:
    """The rows as JSON objects."""
    for row in frame.iter_rows():
        yield {name: plain(value) for name, value in zip(frame.columns, row, strict=True)}


def write_csv(frame: Frame, *, head: bool = True) -> None:
    """Write the rows as CSV to standard output."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if head:
        writer.writerow(frame.columns)
    writer.writerows([flat(value) for value in row] for row in frame.iter_rows())


@dataclass
class Grid:
    """A table as people see it: its headings, and the cells of each column, in one width."""

    names: list[str]
    headings: list[str]
    columns: list[list[Text]]
    footer: list[Text]
    """The total of each column; empty texts where there is none."""
    numbers: list[bool]
    """Which columns are of numbers."""

    def without(self, at: int) -> Grid:
        """The same but for one column."""
        parts = (self.names, self.headings, self.columns, self.footer, self.numbers)
        return Grid(*([*part[:at], *part[at + 1 :]] for part in parts))


def grid(
    frame: Frame,
    headings: Mapping[str, str] | None = None,
    total: Mapping[str, Any] | None = None,
    more: Mapping[str, str] | None = None,
) -> Grid:
    """A frame in words, as `show` explains."""
    headings = headings or {name: name for name in frame.columns}
    total, more = total or {}, more or {}
    rows = [dict(zip(frame.columns, row, strict=True)) for row in frame.iter_rows()]
    lines = [*rows, total]
    made = Grid(list(headings), list(headings.values()), [], [], [])
    for name in headings:
        *cells, last = column_cells(name, [line.get(name) for line in lines])
        if name in more and any(line.get(more[name]) for line in lines):
            for cell, line in zip([*cells, last], lines, strict=True):
                cell.append("+" if line.get(more[name]) and line.get(name) is not None else " ")
        made.columns.append(cells)
        made.footer.append(last if name in total else Text())
        made.numbers.append(are_numbers(name, (row[name] for row in rows)))
    return made


def write_table(shown: Grid, title: str | None = None, spare: Sequence[str] = ()) -> None:
    """A table that fits: columns close up, then spare ones are left out, then texts break."""
    console = stdout()
    boundless = console.options.update(max_width=_NATURAL_WIDTH)

    def is_too_wide(table: Table) -> bool:
        return console.measure(table, options=boundless).maximum > console.width

    table = _table(shown, title)
    left_out = []
    if is_too_wide(table):
        table.padding = 0
        for name in spare:
            if is_too_wide(table) and name in shown.names:
                at = shown.names.index(name)
                left_out.append(shown.headings[at])
                shown = shown.without(at)
                table = _table(shown, title)
                table.padding = 0
    console.print(table)
    if left_out:
        names = ", ".join(reversed(left_out))
        stderr.print(f"left out in {console.width} columns: {names}", style="dim")


def _table(shown: Grid, title: str | None) -> Table:
    table = Table(
        box=box.SIMPLE,
        title=title,
        title_style="bold",
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
        show_footer=any(shown.footer) and any(len(cells) > 1 for cells in shown.columns),
    )
    for heading, last, number in zip(shown.headings, shown.footer, shown.numbers, strict=True):
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(heading, footer=last, justify=justify, overflow="fold")
    for across in zip(*shown.columns, strict=True):
        table.add_row(*across)
    return table


def _write_markdown(shown: Grid, title: str | None) -> None:
    rows = [[cell.plain for cell in across] for across in zip(*shown.columns, strict=True)]
    if len(rows) > 1 and any(shown.footer):
        rows.append([cell.plain for cell in shown.footer])
    if title is not None:
        sys.stdout.write(f"### {title}\n\n")
    sys.stdout.writelines(f"{line}\n" for line in table_lines(shown.headings, shown.numbers, rows))


def _write_parquet(frame: Frame) -> None:
    from tachograph.analytics import parquet_bytes

    if sys.stdout.isatty():
        raise TachographError("Parquet is nothing to look at: add --to FILE.parquet, or > FILE")
    try:
        content = parquet_bytes(frame)
    except ValueError as error:
        raise TachographError(f"Parquet needs one type for each column: {error}") from None
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
