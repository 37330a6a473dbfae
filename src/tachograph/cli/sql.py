"""`tachograph sql`: one SELECT over the tables as they are stored, and the view `call_log`."""

from __future__ import annotations

from typing import Annotated

import typer

from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show
from tachograph.store.reading import select


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="The query, in quotes.")],
    db: Db = DEFAULT_DB,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Run one SELECT; nothing can be changed by it.

    `call_log` shows every call with instants as ISO text and money in USD; the tables hold
    microseconds and pico-dollars.
    """
    with select(db, query) as (columns, rows):
        show(Rows(columns, rows), form)
