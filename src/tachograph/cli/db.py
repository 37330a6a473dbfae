"""`tachograph db`: the database's revision, and what crashed processes left in their journals."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from tachograph.cli.options import DEFAULT_DB, Db
from tachograph.cli.otel import collector
from tachograph.cli.output import stderr
from tachograph.openrouter.usage import read_usage
from tachograph.settings import Settings
from tachograph.store import migrate
from tachograph.store.adoption import adopt
from tachograph.store.database import open_engine, without_secret
from tachograph.store.folder import journal_folder
from tachograph.store.insert import Inserter
from tachograph.store.partitions import add_months, is_partitioned
from tachograph.store.prices import PriceBook
from tachograph.store.replay import replay as replay_journal
from tachograph.store.rows import RowMaker
from tachograph.store.schema import REVISION
from tachograph.store.writing import writing
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def upgrade(
    db: Db = DEFAULT_DB,
    partitioned: Annotated[
        bool,
        typer.Option(
            "--partitioned", help="Create the calls of PostgreSQL in partitions by month."
        ),
    ] = False,
) -> None:
    """Create the tables, or bring them up to the revision that this version needs.

    Where calls are partitioned, the partitions of the coming months are made as well.
    """
    with _opened(db) as engine:
        before = migrate.current(engine)
        if partitioned and (before is not None or engine.dialect.name != "postgresql"):
            raise typer.BadParameter("--partitioned is for a new database of PostgreSQL")
        migrate.upgrade(engine, partitioned=partitioned)
        months = add_months(engine, datetime.now(UTC)) if is_partitioned(engine) else []
    if before == REVISION:
        typer.echo(f"{without_secret(db)} has revision {REVISION} already")
    else:
        was = before or "nothing"
        typer.echo(f"{without_secret(db)} has been upgraded from {was} to {REVISION}")
    if months:
        typer.echo(f"new partitions: {', '.join(months)}")


@app.command()
def current(db: Db = DEFAULT_DB) -> None:
    """Show the revision of the database; `none` where it has no tables of ours."""
    with _opened(db, read_only=True) as engine:
        typer.echo(migrate.current(engine) or "none")


@app.command()
def check(db: Db = DEFAULT_DB) -> None:
    """Say whether this version can use the database; exit status 1 when it cannot."""
    with _opened(db, read_only=True) as engine:
        migrate.check(engine)
    typer.echo(f"{without_secret(db)} has revision {REVISION}, the one that is needed")


@app.command()
def replay(db: Db = DEFAULT_DB) -> None:
    """Store what processes that died left in their journals; those of the living are left alone.

    Their spans go to OTEL_EXPORTER_OTLP_ENDPOINT where that is set.
    """
    collector()
    settings = Settings.of(url=db)
    folder = journal_folder(db, settings.journal_dir)
    journals = stored = 0
    with writing(db) as engine, Progress(console=stderr, transient=True) as progress:
        inserter = Inserter(engine)
        row_maker = RowMaker(read_usage, PriceBook(engine), Spans(dialect=settings.semconv))
        task = progress.add_task("Journals", total=None)
        for adopted in adopt(folder):
            try:
                stored += replay_journal(adopted, inserter, row_maker)
            except BaseException:
                adopted.release()
                raise
            adopted.delete()
            journals += 1
            progress.advance(task)
    typer.echo(
        f"{_count(stored, 'call')} stored from {_count(journals, 'journal')} "
        f"of processes that ended, in {folder}"
    )


@contextmanager
def _opened(db: str, *, read_only: bool = False) -> Iterator[Engine]:
    engine = open_engine(db, read_only=read_only)
    try:
        yield engine
    finally:
        engine.dispose()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
