"""`tachograph reconcile`: asks OpenRouter what calls cost whose answer did not tell it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import httpx
import typer

from tachograph.cli.fetch import BaseUrl, Fetcher
from tachograph.cli.options import DEFAULT_DB, Db, Since
from tachograph.cli.progress import progress
from tachograph.core.units import microseconds
from tachograph.errors import TachographError
from tachograph.openrouter.generation import PATH, read_generation
from tachograph.settings import OPENROUTER_URL, Settings
from tachograph.store.prices import PriceBook
from tachograph.store.reconciliations import fill_in, find_unreconciled, mark_absent
from tachograph.store.writing import writing

if TYPE_CHECKING:
    from tachograph.openrouter.generation import Generation
    from tachograph.store.reconciliations import Unreconciled

SETTLED_SECONDS = 600
"""A generation that is not there so long after its call began never will be."""


def reconcile(
    db: Db = DEFAULT_DB,
    since: Since = None,
    base_url: BaseUrl = OPENROUTER_URL,
    again: Annotated[
        bool, typer.Option("--again", help="Ask also for those that were not there before.")
    ] = False,
) -> None:
    """Look up what calls cost that were never billed: streams left early, speech, videos.

    The key is that of OPENROUTER_API_KEY, and of the account that made the calls.
    """
    key = Settings.of().openrouter_api_key
    if not key:
        raise TachographError("OPENROUTER_API_KEY is not set: no key to ask with")
    results: Counter[str] = Counter()
    with writing(db) as engine, Fetcher(base_url, api_key=key) as fetcher:
        book = PriceBook(engine)
        since_us = 0 if since is None else microseconds(since)
        waiting = find_unreconciled(engine, since_us=since_us, again=again)
        calls = [call for call in waiting if _is_asked_there(call, base_url)]
        with progress("calls") as step:
            for call in calls:
                found = ask(fetcher, call.generation_id)
                now_us = microseconds(datetime.now(UTC))
                if found is not None:
                    fill_in(engine, book, call.call_id, found, now_us)
                    results["found"] += 1
                elif now_us - call.started_us > SETTLED_SECONDS * 1_000_000:
                    mark_absent(engine, call.call_id, now_us)
                    results["absent"] += 1
                else:
                    results["early"] += 1
                step(1, len(calls))
    typer.echo(f"{len(calls):,} calls without a bill: {results['found']:,} found and filled in")
    if results["absent"]:
        typer.echo(f"  {results['absent']:,} are not known there: not asked for again")
    if results["early"]:
        typer.echo(f"  {results['early']:,} may be there later: ask again in ten minutes")
    if len(waiting) > len(calls):
        typer.echo(f"  {len(waiting) - len(calls):,} went to another host, which was not asked")


def ask(fetcher: Fetcher, generation_id: str) -> Generation | None:
    """The generation; None when it is not known. TachographError when it cannot be asked."""
    url = fetcher.url(PATH)
    answer = fetcher.get_patiently(url, id=generation_id)
    if answer.status_code == 404:
        return None
    if answer.status_code == 200:
        try:
            return read_generation(answer.content)
        except ValueError as error:
            raise TachographError(f"{url}: {error}") from error
    why = ": is OPENROUTER_API_KEY right?" if answer.status_code in (401, 403) else ""
    raise TachographError(f"{url} answered {answer.status_code} {answer.reason_phrase}{why}")


def _is_asked_there(call: Unreconciled, base_url: str) -> bool:
    """Whether a call went to the host that is asked; OpenRouter's regions are one."""
    asked = httpx.URL(base_url)
    return call.host == asked.netloc.decode() or (
        _is_openrouter(call.host) and _is_openrouter(asked.host)
    )


def _is_openrouter(host: str) -> bool:
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")
