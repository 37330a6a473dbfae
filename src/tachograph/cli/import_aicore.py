"""`tachograph import aicore`: the database of AiCore's recorder, brought over."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tachograph.cli.options import DEFAULT_DB, Db
from tachograph.cli.progress import progress
from tachograph.compat.aicore_import import import_aicore
from tachograph.store.aicore import count_operations, reading_aicore
from tachograph.store.writing import writing

app = typer.Typer(no_args_is_help=True)


@app.callback()
def import_() -> None:
    """Bring over what another recorder has recorded."""


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # known also where no list of zones is installed
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise typer.BadParameter(
            f"{name!r} is no time zone: write UTC or a name such as Europe/Berlin"
        ) from None


@app.command()
def aicore(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="AiCore's database, as in its CONNECTION_STRING: sqlite:///FILE, postgresql://...",
        ),
    ],
    db: Db = DEFAULT_DB,
    time_zone: Annotated[
        tzinfo,
        typer.Option(
            "--time-zone",
            parser=_zone,
            metavar="NAME",
            help="Where AiCore ran: its timestamps are local times that do not say so.",
        ),
    ] = "UTC",  # type: ignore[assignment]
    content: Annotated[
        bool, typer.Option("--content/--no-content", help="Bring over prompts and answers.")
    ] = True,
) -> None:
    """Bring over the OpenRouter operations of an AiCore database; again, only what is new.

    AiCore's database is only read. Contents that were left out before are added to their calls.
    """
    with reading_aicore(url) as source, writing(db) as engine, progress("operations") as step:
        total = count_operations(source)
        counts = import_aicore(
            source, engine, time_zone, content=content, progress=lambda done: step(done, total)
        )
    typer.echo(f"{counts['read']:,} operations read, {counts['added']:,} calls added")
    for name, line in (
        ("known", "were there already"),
        ("other", "of other providers than OpenRouter were left"),
        ("untimed", "without a time that can be read were left"),
        ("unpriced", "have no cost: AiCore knew no price, and nor does the history of prices"),
    ):
        if counts[name]:
            typer.echo(f"  {counts[name]:,} {line}")
