"""Writes the pages that are made from the code: columns.md and cli.md.

`python docs/generate.py` writes them; `--check` names those that are out of date, and fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa
import typer
from sqlalchemy.engine import Dialect, make_url

from tachograph.analytics.schema import CALLS, COMPUTED_FROM
from tachograph.cli.commands import COMMANDS, load
from tachograph.store.queries import COLUMNS
from tachograph.store.schema import calls, metadata

FOLDER = Path(__file__).parent
MADE = "<!-- Made by docs/generate.py: change the code, then run `make docs`. -->"

DIALECTS: list[Dialect] = [make_url(url).get_dialect()() for url in ("sqlite://", "postgresql://")]

PARTS = {
    "id": "Identity",
    "host": "Request",
    "started_at": "Course and end",
    "model": "Answer",
    "input_tokens": "Usage",
    "billed_usd": "Money",
    "trace_id": "Trace",
}
"""The first column of each part of `calls`."""


def columns_page() -> Iterator[str]:
    """Every column: its name and type in frames and in SQL, and what it means."""
    yield "# Columns"
    yield MADE
    yield (
        "`scan_calls` and `read_calls` give one row for each HTTP exchange with OpenRouter; in SQL "
        "it is a row of `calls`. In SQL money is whole pico-dollars (`_picousd`, 10^-12 USD) and "
        "instants are microseconds since 1970 UTC (`_us`), both exact; the view `call_log` shows "
        "them as USD and as instants, under the names of the frames."
    )
    yield "Null means *not known or not applicable*; 0 means that somebody said 0."
    never = [name for name, stored in COLUMNS.items() if not stored.column.nullable]
    yield f"Never null: {', '.join(map(_code, never))}."
    rows: list[Sequence[str]] = []
    in_sql = ("in SQL", "SQLite", "PostgreSQL", "meaning")
    for name, stored in COLUMNS.items():
        if name in PARTS:
            yield from _table(("in frames", "type", *in_sql), rows)
            rows = []
            yield f"## calls: {PARTS[name]}"
        rows.append((_code(name), _frame_type(CALLS[name]), *_in_sql(stored.column)))
    yield from _table(("in frames", "type", *in_sql), rows)
    yield "## calls: in frames only"
    computed = [
        (_code(name), _frame_type(CALLS[name]), ", ".join(map(_code, parts)))
        for name, parts in COMPUTED_FROM.items()
    ]
    yield from _table(("in frames", "type", "made of"), computed)
    for other in metadata.sorted_tables:
        if other is not calls:
            yield f"## {other.name}"
            yield from _table(in_sql, [_in_sql(column) for column in other.columns])


def cli_page() -> Iterator[str]:
    """Every command, its arguments and options."""
    yield "# The command line"
    yield MADE
    yield (
        "Answers go to standard output, progress and errors to standard error. The exit status is "
        "0, 1 after an error, 2 when the command was not understood."
    )
    for name, (_, line) in COMMANDS.items():
        yield from _command_section(load(name), f"tachograph {name}", line)


def _command_section(command: Any, path: str, line: str, parent: Any = None) -> Iterator[str]:
    context = command.context_class(command, info_name=path, parent=parent)
    subcommands = getattr(command, "commands", {})
    yield f"{'##' if parent is None else '###'} {path}"
    yield _one_line(command.help or line)
    if not subcommands:
        yield f"```text\n{' '.join([path, *command.collect_usage_pieces(context)])}\n```"
        records = [param.get_help_record(context) for param in command.params]
        options = [(_code(of), _one_line(meaning)) for of, meaning in filter(None, records)]
        yield from _table(("option", "meaning"), options)
    for name, subcommand in subcommands.items():
        yield from _command_section(subcommand, f"{path} {name}", "", context)


def _in_sql(column: sa.Column[Any]) -> Sequence[str]:
    """Its name, its type in SQLite and in PostgreSQL, and its meaning."""
    types = [column.type.compile(dialect=dialect) for dialect in DIALECTS]
    return (_code(column.name), *types, column.doc or "")


def _frame_type(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Enum):
        return f"Enum: {', '.join(kind.categories)}"
    if isinstance(kind, pl.Decimal):
        return f"Decimal({kind.precision}, {kind.scale})"
    if isinstance(kind, pl.Datetime):
        return f"Datetime({kind.time_unit}, {kind.time_zone})"
    return str(kind)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [head, ["---"] * len(head), *rows]
    if len(lines) > 2:
        cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
        yield "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    return f"`{text}`"


PAGES = {"columns.md": columns_page, "cli.md": cli_page}


def main(check: bool = False) -> None:
    """Write docs/columns.md and docs/cli.md from the code, or check that they are up to date."""
    stale = []
    for name, page in PAGES.items():
        path, text = FOLDER / name, "\n\n".join(page()) + "\n"
        if check and (not path.exists() or path.read_text() != text):
            stale.append(f"docs/{name}")
        elif not check:
            path.write_text(text)
    if stale:
        sys.exit(f"out of date, `make docs` writes them again: {', '.join(stale)}")


if __name__ == "__main__":
    typer.run(main)
