"""`tachograph rollup`: hourly sums and histograms, brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tachograph.analytics import roll_up, write_rollups
from tachograph.cli.options import DEFAULT_DB, Archive, Db
from tachograph.cli.output import stderr
from tachograph.cli.progress import progress
from tachograph.cli.values import counted


def rollup(
    db: Db = DEFAULT_DB,
    archive: Archive = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Write the days that changed as Parquet files there, too.",
        ),
    ] = None,
) -> None:
    """Bring the rollups of a database up to date, from which reports of long periods are quick.

    Sums and histograms by hour, model, provider, outcome and name. Only what is new or changed is
    read, so it may run as often as one likes, from cron for instance. Calls that were deleted or
    archived stay in the rollups.
    """
    with progress("Calls") as step:
        done = roll_up(db, archive=archive, progress=step)
    days, calls = counted(done.days, "day"), counted(done.calls, "call")
    typer.echo(f"{calls} of {days} rolled up")
    if done.left_hours:
        why = "" if archive else ": where they were archived, --archive FOLDER reads them"
        hours = counted(done.left_hours, "hour")
        stderr.print(
            f"{hours} changed after calls had left the database, and stayed as they were{why}"
        )
    if to is not None:
        typer.echo(f"{counted(write_rollups(db, to), 'day')} written to {to}")
