"""`tachograph purge`: old calls deleted for good."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tachograph.cli.options import DEFAULT_DB, Db, when
from tachograph.cli.output import stderr
from tachograph.store import purge as store
from tachograph.store.writing import writing


def purge(
    before: Annotated[
        datetime,
        when("--before", "What began before: 90d, 2026-11-01 or an ISO instant (UTC)."),
    ],
    db: Db = DEFAULT_DB,
    content: Annotated[
        bool, typer.Option("--content", help="Delete prompts and answers, and leave the calls.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many calls would go, and delete none.")
    ] = False,
) -> None:
    """Delete old calls for good, while others go on writing.

    A SQLite file does not shrink: what became free is used again.
    """
    what = "contents of calls" if content else "calls"
    began = f"began before {before.isoformat().replace('+00:00', 'Z')}"
    with writing(db) as engine:
        old = store.count_before(engine, before, content_only=content)
        if dry_run:
            typer.echo(f"{old} {what} {began}; none was deleted")
            return
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=stderr, transient=True) as progress:
            task = progress.add_task("Calls", total=old)
            deleted = store.purge(
                engine,
                before,
                lambda gone: progress.advance(task, gone),
                content_only=content,
            )
    typer.echo(f"{deleted} {what} that {began} were deleted")
