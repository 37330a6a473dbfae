"""`tachograph demo`: some two hundred calls to a stand-in for OpenRouter, recorded and reported.

With --live a few calls to free models of OpenRouter itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tachograph import Recorder, analytics
from tachograph.cli import prices
from tachograph.cli.otel import collector
from tachograph.cli.output import stderr
from tachograph.cli.report import show_report
from tachograph.cli.values import digits
from tachograph.demo.apps import openai_installed, run
from tachograph.demo.live import CALLS_PER_MODEL, ask_free_models, free_models
from tachograph.demo.pace import Pace
from tachograph.demo.plan import plan
from tachograph.errors import SettingsError, TachographError
from tachograph.settings import Settings
from tachograph.store.folder import journal_folder
from tachograph.store.prices import read_prices
from tachograph.store.reading import reading
from tachograph.store.writing import writing
from tachograph.testing import FakeOpenRouter

FILE = Path("tachograph-demo.db")
URL = f"sqlite:///{FILE}"
SERVICE = "tachograph-demo"
"""In traces, unless OTEL_SERVICE_NAME says another name."""


def demo(
    calls: Annotated[int, typer.Option("--calls", min=1, help="How many requests to send.")] = 200,
    live: Annotated[
        bool, typer.Option("--live", help="Ask free models of OpenRouter itself, a few times.")
    ] = False,
) -> None:
    """Record some 200 calls to a local stand-in for OpenRouter, and report on them.

    Needs no key, no network and no money. Writes tachograph-demo.db in this folder, anew each time;
    spans go to OTEL_EXPORTER_OTLP_ENDPOINT where that is set.

    --live needs a key in OPENROUTER_API_KEY and the network, and costs nothing. It has been tried
    against the stand-in (OPENROUTER_BASE_URL) only, never against OpenRouter itself.
    """
    settings = Settings.of(url=URL)
    if settings.disabled:
        raise SettingsError("TACHOGRAPH_DISABLED is set: the demo would record nothing")
    spans_to = collector(SERVICE)
    _remove_earlier(settings.journal_dir)
    if live:
        _ask_openrouter(settings)
    else:
        _ask_stand_in(calls)
    _report()
    with writing(URL):
        pass  # whoever only reads leaves SQLite's -wal and -shm files behind
    if spans_to is not None:
        service = os.environ["OTEL_SERVICE_NAME"]
        typer.echo(f"Their spans go to {spans_to}, as those of the service {service}.")


def _ask_stand_in(calls: int) -> None:
    # all that the demo asks is on this machine: no proxy is to see it
    os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1")))
    typer.echo(
        f"{calls} requests go to a stand-in for OpenRouter on this machine: no network is used,\n"
        "no key is needed, no money is spent. httpx and the openai SDK send them, sync and async."
    )
    if not openai_installed():
        typer.echo("The openai SDK is not installed (extra: demo), so httpx sends all of them.")
    with FakeOpenRouter(Pace()) as server:
        prices.sync(db=URL, base_url=server.base_url, endpoints=True)
        with Recorder(URL, base_urls=[server.base_url]) as recorder:
            with _progress(calls) as done:
                run(server.base_url, recorder, plan(calls), done)
            recorder.flush()


def _ask_openrouter(settings: Settings) -> None:
    base_url, key = settings.openrouter_base_url, settings.openrouter_api_key
    if key is None:
        raise SettingsError("--live asks OpenRouter itself: it needs a key in OPENROUTER_API_KEY")
    prices.sync(db=URL, base_url=base_url)
    with reading(URL) as engine, engine.connect() as connection:
        models = free_models(price.model for price in read_prices(connection))
    if not models:
        raise TachographError(f"{base_url} lists no free model")
    calls = len(models) * CALLS_PER_MODEL
    typer.echo(f"{calls} requests go to free models at {base_url}: {', '.join(models)}.")
    with Recorder(URL, base_urls=[base_url]) as recorder:
        with _progress(calls) as done:
            ask_free_models(base_url, key, models, recorder, done)
        recorder.flush()


def _remove_earlier(journal_dir: Path | None) -> None:
    for name in (FILE.name, f"{FILE.name}-wal", f"{FILE.name}-shm"):
        Path(name).unlink(missing_ok=True)
    journals = journal_folder(URL, journal_dir)
    if journals.is_dir():
        shutil.rmtree(journals)


@contextmanager
def _progress(calls: int) -> Iterator[Callable[[], object]]:
    """What to call after each request."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    hidden = not stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=hidden) as bar:
        task = bar.add_task("requests", total=calls)
        yield lambda: bar.advance(task)


def _report() -> None:
    recorded = analytics.read_calls(URL)
    retries = int((recorded["resend_count"] > 0).sum())
    typer.echo(f"{len(recorded)} calls recorded, {retries} of them retries.\n")
    show_report(analytics.by_model(recorded), title="By model")
    typer.echo()
    show_report(analytics.by_provider(recorded), title="By provider")
    command, python = _at_hand("tachograph"), _at_hand("python")
    typer.echo(
        f"\n{_money(recorded)}\n\n"
        f"All of it is in {FILE}, a SQLite file. To go on:\n"
        f"  {command} report models --db {URL}\n"
        f"  {command} tail --db {URL}\n"
        f'  {python} -c "from tachograph.analytics import scan_calls; '
        f"print(scan_calls('{URL}').collect())\""
    )


def _at_hand(program: str) -> str:
    """What to type for a program of this environment: its name where that finds it, else its
    path, as after `make demo`, whose environment is not the shell's."""
    own = Path(sys.executable).with_name(program)
    found = shutil.which(program)
    if not own.exists() or (found is not None and Path(found).absolute() == own):
        return program
    return os.path.relpath(own) if own.is_relative_to(Path.cwd()) else str(own)


def _money(recorded: Any) -> str:
    """What was spent, by OpenRouter's own figures and by ours, over the calls that have both."""
    both = recorded.filter(
        recorded["billed_usd"].is_not_null() & recorded["computed_usd"].is_not_null()
    )
    billed = sum(both["billed_usd"], Decimal(0))
    computed = sum(both["computed_usd"], Decimal(0))
    apart = (
        "equal to the last digit" if billed == computed else f"{digits(computed - billed)} apart"
    )
    unknown = int(recorded["spent_usd"].null_count())
    return (
        f"Cost of {len(both)} calls in USD, {apart}:\n"
        f"  billed    {digits(billed, 12)}   what the answers said\n"
        f"  computed  {digits(computed, 12)}   tokens x listed prices\n"
        f"{unknown} calls have no cost: they failed, or were left before their usage came."
    )
