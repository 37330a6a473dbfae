"""A table as Markdown, which GitHub and other readers of it show as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ESCAPES = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "\\|`*_[]<>~#"}, "&": "&amp;", "\r": " ", "\n": " "}
)


def table_lines(
    headings: Sequence[str],
    numbers: Sequence[bool],
    rows: Sequence[Sequence[str]],
) -> Iterator[str]:
    """The lines of a table; columns of numbers are aligned to the right.

    Whatever the cells hold is shown as it is: no name becomes a link, a tag or another column.
    """
    lines = [[cell.strip().translate(_ESCAPES) for cell in row] for row in (headings, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    for at, line in enumerate(lines):
        yield _line(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        )
        if at == 0:
            yield _line(
                "-" * (width - 1) + (":" if number else "-")
                for width, number in zip(widths, numbers, strict=True)
            )


def _line(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"
