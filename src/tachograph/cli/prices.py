"""`tachograph prices`: reading what models cost now, and looking at what they cost before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tachograph.cli.fetch import BaseUrl, Fetcher
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat, when
from tachograph.cli.output import show, stderr
from tachograph.cli.price_lines import HistoryFrame, difference, label
from tachograph.cli.progress import progress
from tachograph.core.units import microseconds
from tachograph.errors import TachographError
from tachograph.openrouter.catalog import (
    Endpoints,
    Listing,
    Problem,
    read_endpoints,
    read_models,
)
from tachograph.openrouter.models import ModelNames
from tachograph.openrouter.suggestion import meant
from tachograph.settings import OPENROUTER_URL
from tachograph.store.backfill import backfill
from tachograph.store.price_history import record_prices
from tachograph.store.prices import read_prices
from tachograph.store.reading import reading
from tachograph.store.writing import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tachograph.store.price_history import Changes
    from tachograph.store.reading import Engine

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

_MOST_LINES = 20


@app.command()
def sync(
    db: Db = DEFAULT_DB,
    base_url: BaseUrl = OPENROUTER_URL,
    from_file: Annotated[
        Path | None,
        typer.Option("--from", exists=True, dir_okay=False, help="A saved answer of /models."),
    ] = None,
    since: Annotated[
        datetime | None,
        when(
            "--since", "Take the first prices known as valid from here on, and price older calls."
        ),
    ] = None,
    endpoints: Annotated[
        bool, typer.Option("--endpoints", help="Also read every provider's own prices.")
    ] = False,
) -> None:
    """Read the listed prices of today and enter what changed into the history."""
    if from_file is not None and endpoints:
        raise typer.BadParameter("endpoints are asked of OpenRouter, which --from does not do")
    now_us = microseconds(datetime.now(UTC))
    since_us = None if since is None else microseconds(since)
    with writing(db) as engine:
        if from_file is not None:
            listing = _understand(read_models, from_file.read_bytes(), now_us, str(from_file))
            _enter_listing(engine, listing, from_file.name, now_us, since_us)
        else:
            with Fetcher(base_url) as fetcher:
                listing = fetch_listing(fetcher, now_us)
                _enter_listing(engine, listing, fetcher.base_url, now_us, since_us)
                if endpoints:
                    _enter_endpoints(engine, fetcher, listing, now_us, since_us)
        if since is not None:
            _price_older_calls(engine)


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", exists=True, dir_okay=False, show_default=False),
    ],
    db: Db = DEFAULT_DB,
    at: Annotated[
        datetime | None,
        when("--at", "When the answers were saved; else the time at which each file was changed."),
    ] = None,
) -> None:
    """Enter saved answers of /models or /models/ID/endpoints into the history."""
    with writing(db) as engine:
        for file in files:
            _import(engine, file, at or datetime.fromtimestamp(file.stat().st_mtime, UTC))


@app.command()
def history(
    model: Annotated[str, typer.Argument(help="A model's id or canonical slug.")],
    db: Db = DEFAULT_DB,
    form: OutputFormat = Format.TABLE,
) -> None:
    """The prices of a model and when each was valid, in USD: the table for a million tokens."""
    with reading(db) as engine, engine.connect() as connection:
        rows = read_prices(connection)
    found = ModelNames(row for row in rows if row.provider is None).resolve(model, None)
    known = {row.model for row in rows}
    if found not in known:
        hint = meant(model, known) or ": tachograph prices sync reads them"
        raise TachographError(f"no price of {model} is known{hint}")
    rows = [row for row in rows if row.model == found]
    frame = HistoryFrame(rows, per_million=form is Format.TABLE)
    show(frame, form, headings=frame.headings(), title=found)


def fetch_listing(fetcher: Fetcher, now_us: int) -> Listing:
    """All pages of `/models` as one listing."""
    url: str | None = fetcher.url("/models")
    pages: list[Listing] = []
    seen = set()
    with progress("models") as step:
        while url is not None and url not in seen:
            seen.add(url)
            page = _understand(read_models, fetcher.read(url), now_us, url)
            pages.append(page)
            step(_entries(page), page.total)
            url = fetcher.url(page.next, seen_from=url) if page.next else None
    models = tuple(model for page in pages for model in page.models)
    problems = tuple(problem for page in pages for problem in page.problems)
    return Listing(models=models, problems=problems, total=pages[0].total, next=None)


def fetch_endpoints(
    fetcher: Fetcher, models: Sequence[str], now_us: int
) -> tuple[list[Endpoints], list[Problem]]:
    """The endpoints of models; those that could not be read are problems."""
    answers, problems = [], []
    with progress("endpoints") as step:
        for model in models:
            try:
                url = fetcher.url(f"/models/{model}/endpoints")
                answers.append(read_endpoints(fetcher.read(url), now_us))
            except (TachographError, ValueError) as error:
                problems.append(Problem(model, str(error)))
            step(1, len(models))
    return answers, problems


def _import(engine: Engine, file: Path, saved: datetime) -> None:
    body, at_us = file.read_bytes(), microseconds(saved)
    try:
        answer = read_endpoints(body, at_us)
        prices, problems = answer.prices, answer.problems
    except ValueError:
        listing = _understand(read_models, body, at_us, str(file))
        prices, problems = tuple(model.price for model in listing.models), listing.problems
    changes = record_prices(engine, prices, at_us, file.name)
    _tell(f"{file.name}, saved {saved:%Y-%m-%d %H:%M} UTC: {len(prices)} prices", changes)
    _warn(problems)


def _enter_listing(
    engine: Engine, listing: Listing, source: str, now_us: int, since_us: int | None
) -> None:
    changes = record_prices(
        engine,
        [model.price for model in listing.models],
        now_us,
        source,
        valid_from_us=since_us,
        # an excerpt says nothing of the models that it leaves out
        whole_listing=listing.total == _entries(listing),
        misread=[problem.name for problem in listing.problems],
    )
    _tell(f"{len(listing.models)} models of {source}", changes)
    _warn(listing.problems)


def _enter_endpoints(
    engine: Engine, fetcher: Fetcher, listing: Listing, now_us: int, since_us: int | None
) -> None:
    # routers and aliases have no endpoints of their own
    models = [m.id for m in listing.models if m.alias_target is None and m.price.prompt is not None]
    answers, problems = fetch_endpoints(fetcher, models, now_us)
    if models and not answers:
        raise TachographError(f"no endpoints could be read: {problems[0]}")
    problems += [problem for answer in answers for problem in answer.problems]
    prices = [price for answer in answers for price in answer.prices]
    changes = record_prices(
        engine,
        prices,
        now_us,
        fetcher.base_url,
        valid_from_us=since_us,
        whole_endpoints={answer.model for answer in answers},
        misread=[problem.name for problem in problems],
    )
    _tell(f"{len(prices)} endpoints of {len(answers)} models", changes)
    _warn(problems)


def _price_older_calls(engine: Engine) -> None:
    with progress("calls") as step:
        filled = backfill(engine, step)
    typer.echo(f"{filled:,} calls that had no computed cost have one now")


def _entries(page: Listing) -> int:
    return len(page.models) + len(page.problems)


def _understand(
    read: Callable[[bytes, int], Listing], body: bytes, at_us: int, source: str
) -> Listing:
    try:
        return read(body, at_us)
    except ValueError as error:
        raise TachographError(f"{source}: {error}") from error


def _tell(what: str, changes: Changes) -> None:
    typer.echo(
        f"{what}: {len(changes.new)} new, {len(changes.changed)} changed, "
        f"{changes.unchanged} unchanged, {len(changes.gone)} gone"
    )
    lines = [f"  changed  {label(now)}: {difference(was, now)}" for was, now in changes.changed]
    lines += [f"  gone     {label(price)}" for price in changes.gone]
    for line in lines[:_MOST_LINES]:
        typer.echo(line)
    if len(lines) > _MOST_LINES:
        typer.echo(f"  and {len(lines) - _MOST_LINES} more: tachograph prices history MODEL")


def _warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        stderr.print(f"left out: {problem}", markup=False)
