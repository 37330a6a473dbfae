"""`tachograph archive`: closed days into Parquet files, out of the database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Db, when
from tachograph.cli.progress import progress
from tachograph.cli.values import counted


def archive(
    before: Annotated[
        datetime,
        when("--before", "Days that ended before: 90d, 2026-11-01 or an ISO instant (UTC)."),
    ],
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="The folder; it is made if need be.")
    ],
    db: Db = DEFAULT_DB,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the calls in the database as well.")
    ] = False,
) -> None:
    """Move the calls of closed days into Parquet files, one a day, while others go on writing.

    A day is closed two days after its end (UTC). Each file is read back before a call is deleted.
    Broken off anywhere, it is simply run again; so are calls added that came late. Prompts and
    answers stay in the database. Reading commands find what was moved with `--archive DIR`.
    """
    with progress("calls") as step:
        done = analytics.archive_calls(db, before, to, keep=keep, progress=step)
    until = f"{done.until:%Y-%m-%d}"
    if not done.days and not done.deleted:
        typer.echo(f"nothing new before {until}")
        return
    written = f"{counted(done.days, 'day')} before {until}, {counted(done.calls, 'call')}"
    typer.echo(f"{written}, {done.bytes:,} bytes, written to {to}")
    typer.echo(f"{counted(done.deleted, 'call')} left the database")
