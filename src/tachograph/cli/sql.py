"""`tachograph sql`: one SELECT over the tables as they are stored, and the view `call_log`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show, stderr
from tachograph.store.reading import select

MOST_LINES = 1000
"""A table for people has no more; JSON and CSV have every row."""


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="The query, in quotes.")],
    db: Db = DEFAULT_DB,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Run one SELECT; nothing can be changed by it.

    `call_log` shows every call with instants as ISO text and money in USD; the tables hold
    microseconds and pico-dollars. A table shows the first 1,000 rows.
    """
    with select(db, query) as (columns, rows):
        if form is not Format.TABLE:
            show(Rows(columns, rows), form)
            return
        show(Rows(columns, list(islice(rows, MOST_LINES))), form)
        if next(rows, None) is not None:
            stderr.print(f"the first {MOST_LINES:,} rows: --format csv or json writes all")
