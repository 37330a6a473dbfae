"""`tachograph export`: stored calls into a file that other tools read, or to a collector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tachograph import analytics
from tachograph.cli.export_spans import spans
from tachograph.cli.options import DEFAULT_DB, Archive, Db, Since, Until
from tachograph.cli.reading import read_with_progress

app = typer.Typer(no_args_is_help=True)
app.command()(spans)


@app.callback()
def export() -> None:
    """Write what is stored to a file, or send it to a collector."""


@app.command()
def calls(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="FILE.parquet, FILE.csv or FILE.ndjson.")
    ],
    db: Db = DEFAULT_DB,
    since: Since = None,
    until: Until = None,
    archive: Archive = None,
) -> None:
    """Write every call, one row each, in the format that the file's name ends with.

    The file appears when it is whole; one of that name is replaced.
    """
    if to.suffix not in analytics.FORMATS:
        raise typer.BadParameter(f"{to.name}: write to a .parquet, .csv or .ndjson file")
    with read_with_progress(db, since, until, archive=archive) as read:
        analytics.write_frame(read, to)
    typer.echo(to)
