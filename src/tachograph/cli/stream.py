"""Rows that come bit by bit, as `tail --follow` shows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from tachograph.cli.options import Format
from tachograph.cli.output import as_objects, write_csv
from tachograph.cli.values import column_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tachograph.cli.output import Frame

_NUMBERS = ("_seconds", "_tokens", "_usd", "_rate")
FORMS = (Format.TABLE, Format.JSON, Format.CSV)


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
            write_csv(frame, head=not self._begun)
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
