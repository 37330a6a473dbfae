"""`tachograph sql`: one SELECT over the tables as they are stored, and the view `call_log`."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tachograph.cli.into import To, form_of, into
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show, stderr
from tachograph.cli.progress import progress
from tachograph.store.reading import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LINES = 1000
"""A table for people has no more; JSON, CSV and Parquet have every row."""
STEP = 1000


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="The query, in quotes.")],
    db: Db = DEFAULT_DB,
    form: OutputFormat = Format.TABLE,
    to: To = None,
) -> None:
    """Run one SELECT; nothing can be changed by it.

    `call_log` shows every call with instants as ISO text and money in USD; the tables hold
    microseconds and pico-dollars. In SQLite a sum over `call_log` is a rounded number; that of
    `spent_picousd` in `calls` is exact. A table shows the first 1,000 rows.
    """
    form = form_of(to, form)
    with select(db, query) as (columns, rows), into(to):
        if form in (Format.TABLE, Format.MARKDOWN):
            show(Rows(columns, list(islice(rows, MOST_LINES))), form)
            if next(rows, None) is not None:
                stderr.print(f"the first {MOST_LINES:,} rows: --format csv or json writes all")
        elif sys.stdout.isatty():  # the rows themselves show that it goes on
            show(Rows(columns, rows), form)
        else:
            with progress("rows") as step:
                show(Rows(columns, _counted(rows, step)), form)


def _counted(rows: Iterator[Any], step: Callable[[int], None]) -> Iterator[Any]:
    for number, row in enumerate(rows, 1):
        if number % STEP == 0:
            step(STEP)
        yield row
