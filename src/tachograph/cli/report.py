"""`tachograph report`: latency, failures, tokens and money of calls, grouped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat, Since, Until
from tachograph.cli.output import counted, show, stderr

MANY = 1_000_000
"""From so many calls on, quantiles are read from histograms."""
MOST_LINES = 100
"""A table for people has no more, unless they ask for it."""


class Kind(StrEnum):
    """What calls are grouped by, or looked at for."""

    MODELS = "models"
    PROVIDERS = "providers"
    BOTH = "models-providers"
    DAYS = "days"
    HOURS = "hours"
    SESSIONS = "sessions"
    USERS = "users"
    NAMES = "names"
    TAGS = "tags"
    LATENCY = "latency"
    ERRORS = "errors"
    RETRIES = "retries"
    CACHE = "cache"
    COST = "cost"


_FUNCTIONS = {
    Kind.MODELS: "by_model",
    Kind.PROVIDERS: "by_provider",
    Kind.BOTH: "by_model_and_provider",
    Kind.DAYS: "by_day",
    Kind.HOURS: "by_hour",
    Kind.SESSIONS: "by_session",
    Kind.USERS: "by_user",
    Kind.NAMES: "by_name",
    Kind.LATENCY: "latency",
    Kind.ERRORS: "errors",
    Kind.RETRIES: "retries",
    Kind.COST: "cost_per_success",
}
"""Those of `analytics` that need nothing but the calls."""

_SUMMARY = {
    "calls": "calls",
    "failure_rate": "failed",
    "latency_p50_seconds": "p50 s",
    "latency_p95_seconds": "p95 s",
    "first_token_p50_seconds": "first",
    "output_tokens_per_second": "tok/s",
    "input_tokens": "in",
    "output_tokens": "out",
    "spent_usd": "spent USD",
}
_HEADINGS: dict[Kind, Mapping[str, str]] = {
    Kind.LATENCY: {
        "model": "model",
        "calls": "calls",
        "latency_p50_seconds": "p50 s",
        "latency_p95_seconds": "p95 s",
        "latency_p99_seconds": "p99 s",
        "latency_max_seconds": "max s",
        "first_token_p50_seconds": "first p50",
        "first_token_p95_seconds": "first p95",
        "output_tokens_per_second": "tok/s",
    },
    Kind.ERRORS: {
        "outcome": "outcome",
        "error_type": "error",
        "http_status": "status",
        "calls": "calls",
        "share": "share",
        "models": "models",
        "providers": "providers",
        "last_at": "last",
        "message": "message",
    },
    Kind.RETRIES: {
        "model": "first model",
        "operations": "operations",
        "retried": "retried",
        "recovered": "recovered",
        "given_up": "given up",
        "recovery_rate": "recovery",
        "resends": "re-sendings",
        "waiting_seconds": "waited s",
    },
    Kind.CACHE: {
        "model": "model",
        "calls": "calls",
        "input_tokens": "in",
        "cache_read_input_tokens": "read",
        "cache_write_input_tokens": "written",
        "cached_input_rate": "cached",
        "answers_from_cache": "answers",
        "saved_usd": "saved USD",
    },
    Kind.COST: {
        "model": "model",
        "calls": "calls",
        "completed": "completed",
        "spent_usd": "spent USD",
        "wasted_usd": "wasted USD",
        "spent_usd_per_success": "USD per success",
    },
}


def report(
    kind: Annotated[Kind, typer.Argument(help="What to group by, or to look at.")] = Kind.MODELS,
    db: Db = DEFAULT_DB,
    since: Since = None,
    until: Until = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="TAG", help="The tag that `tags` groups by.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="SQL", help="Only calls like this: \"provider = 'Azure'\"."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Only the first lines.")] = None,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Report latency, failures, tokens and money of the calls of a period, the dearest first.

    Times are of completed calls that no cache answered. A sum of money is of what is known; how
    many calls had no known cost stands beside it.
    """
    if (kind is Kind.TAGS) != (by is not None):
        raise typer.BadParameter("`report tags` and `--by TAG` go together", param_hint="--by")
    calls = analytics.scan_calls(db, since, until)
    if where is not None:
        try:
            calls = calls.filter(analytics.where(where))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--where") from None
    quantiles = _quantiles(analytics.count_calls(db, since, until, at_most=MANY))
    show_report(_made(kind, calls, by, quantiles, db).collect(), form, top=top, kind=kind)


def show_report(
    report: Any,
    form: Format = Format.TABLE,
    *,
    title: str | None = None,
    top: int | None = None,
    kind: Kind = Kind.MODELS,
) -> None:
    """Write a report (a DataFrame of `analytics.by_model` and its like) to standard output."""
    most = MOST_LINES if top is None and form is Format.TABLE else top
    shown = report if most is None else report.head(most)
    if kind in _HEADINGS:
        show(shown, form, headings=_HEADINGS[kind], title=title)
    else:
        _show_summary(report, shown, form, title)
    if top is None and len(shown) < len(report):
        hidden = counted(len(report) - len(shown), "line")
        stderr.print(f"{hidden} more: --top {len(report)} shows all")


def _show_summary(report: Any, shown: Any, form: Format, title: str | None) -> None:
    total = analytics.total(report)
    keys = [name for name in report.columns if name not in analytics.REPORT_COLUMNS]
    show(
        shown,
        form,
        headings={name: name for name in keys} | _SUMMARY,
        title=title,
        total=total,
        more={"spent_usd": "calls_without_cost"},
    )
    if form is Format.TABLE and (unknown := total["calls_without_cost"]):
        typer.echo(f"+ and {counted(unknown, 'call')} whose cost is not known")


def _quantiles(count: int) -> analytics.Quantiles:
    if count == 0:
        stderr.print("no calls in this period")
    if count < MANY:
        return "exact"
    stderr.print(f"{MANY:,} calls or more: quantiles within 1 %, from histograms")
    return "histogram"


def _made(kind: Kind, calls: Any, by: str | None, quantiles: analytics.Quantiles, db: str) -> Any:
    if kind is Kind.CACHE:
        return analytics.cache(calls, prices=analytics.read_prices(db))
    if by is not None:
        return analytics.by_tag(calls, by, quantiles=quantiles)
    make: Callable[..., Any] = getattr(analytics, _FUNCTIONS[kind])
    return make(calls) if kind in _HEADINGS else make(calls, quantiles=quantiles)
