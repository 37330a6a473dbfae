"""`tachograph report`: latency, failures, tokens and money of calls, grouped."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat, Since, Until
from tachograph.cli.output import show, stderr

MANY = 1_000_000
"""From so many calls on, quantiles are read from histograms."""


_HEADINGS = {
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


class Kind(StrEnum):
    """What calls are grouped by."""

    MODELS = "models"
    PROVIDERS = "providers"


def report(
    kind: Annotated[Kind, typer.Argument(help="What to group by.")] = Kind.MODELS,
    db: Db = DEFAULT_DB,
    since: Since = None,
    until: Until = None,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Report latency, failures, tokens and money of the calls of a period, the dearest first.

    Times are of completed calls that no cache answered. A sum of money is of what is known; how
    many calls had no known cost stands beside it.
    """
    count = analytics.count_calls(db, since, until, at_most=MANY)
    many = count == MANY
    if many:
        stderr.print(f"{MANY:,} calls or more: quantiles within 1 %, from histograms")
    if count == 0:
        stderr.print("no calls in this period")
    calls = analytics.scan_calls(db, since, until)
    quantiles: analytics.Quantiles = "histogram" if many else "exact"
    if kind is Kind.MODELS:
        shown = analytics.by_model(calls, quantiles=quantiles).collect()
    else:
        shown = analytics.by_provider(calls, quantiles=quantiles).collect()
    show_report(shown, form)


def show_report(report: Any, form: Format = Format.TABLE, *, title: str | None = None) -> None:
    """Write a report (a DataFrame of `analytics.by_model` and its like) to standard output."""
    total = analytics.total(report)
    keys = [name for name in report.columns if name not in analytics.REPORT_COLUMNS]
    headings = {name: name for name in keys} | _HEADINGS
    show(
        report,
        form,
        headings=headings,
        title=title,
        total=total,
        more={"spent_usd": "calls_without_cost"},
    )
    if form is Format.TABLE and (unknown := total["calls_without_cost"]):
        calls = "1 call" if unknown == 1 else f"{unknown:,} calls"
        typer.echo(f"+ and {calls} whose cost is not known")
