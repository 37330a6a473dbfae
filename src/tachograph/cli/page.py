"""`tachograph report --html FILE`: one page with all that matters, to be sent to a colleague.

It has its style and its pictures within it, no script, and asks no network for anything. The
figures are those of the reports, digit by digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tachograph
from tachograph import analytics
from tachograph.analytics.audit import audit_totals, with_audit
from tachograph.analytics.drawing import few_digits
from tachograph.analytics.rereading import SUMMED_UP, read_once
from tachograph.cli import kinds
from tachograph.cli.html import NARROW, WIDE, Section, document, figure, sentence, table
from tachograph.cli.kinds import Kind
from tachograph.cli.output import grid
from tachograph.cli.values import UNKNOWN, column_cells, counted

NEEDED = (
    *SUMMED_UP,
    "started_at",
    "model",
    "provider",
    "error_type",
    "http_status",
    "error_message",
    "expected_usd",
    "difference_usd",
    "reason",
)
"""The columns that the page is made of, of calls and their audit."""

TITLE = "OpenRouter calls"
COUNTS = ("calls", "completed", "failed", "calls_without_cost")
MOST_ROWS = 50
"""A table on the page has no more; the command line shows all."""

_LONGER = {
    "first_token_p50_seconds": "first token p50 s",
    "first_token_p95_seconds": "first token p95 s",
    "output_tokens_per_second": "tokens/s",
    "input_tokens": "tokens in",
    "output_tokens": "tokens out",
}
"""Headings that are longer than on the command line, since a page has the room."""


def write_page(to: Path, calls: Any, db: str, where: str | None) -> None:
    """Write the page of these calls (a LazyFrame); `where` is said on it as what chose them.

    Quantiles are exact, so that all tables tell the same of a model.
    """
    with read_once(with_audit(calls, db), *NEEDED) as read:
        page = _page(read, where)
    to.write_text(page, encoding="utf-8")


def _page(calls: Any, where: str | None) -> str:
    models = analytics.by_model(calls).collect()
    if models.is_empty():
        total = analytics.total(models) | dict.fromkeys(COUNTS, 0)
        none = Section("No calls", "There are none in what this page was asked for.", [])
        return document(TITLE, _head(calls, total, where), _tiles(total), [none])
    total = analytics.total(models)
    providers = analytics.by_provider(calls).collect()
    latencies = analytics.latency(calls).collect()
    errors = analytics.errors(calls).collect()
    audited = audit_totals(calls.drop_nulls("reason")).collect()
    audit = analytics.audit_by(audited, "reason")
    errors_shown = {
        name: heading for name, heading in kinds.HEADINGS[Kind.ERRORS].items() if name != "message"
    }
    sections = [
        Section(
            "Spend by model",
            "What was spent in USD, the dearest first.",
            [figure(analytics.plot_spend(models), "spend by model"), _summary(models)],
        ),
        Section(
            "Spend by day",
            "Days are days in UTC.",
            [figure(analytics.plot_spend_by_day(calls), "spend by day and model")],
        ),
        Section(
            "Spend by provider",
            "Who served the tokens; unknown where nobody did, or OpenRouter did not say.",
            [figure(analytics.plot_spend(providers), "spend by provider"), _summary(providers)],
        ),
        Section(
            "Latency",
            "Seconds from the request to the end of the answer, of completed calls that no cache "
            "answered. Half of the calls were quicker than p50, one in a hundred slower than p99.",
            [
                figure(analytics.plot_latency(latencies), "latency by model"),
                _table(latencies, kinds.HEADINGS[Kind.LATENCY]),
            ]
            if len(latencies)
            else [sentence("No such call completed.")],
        ),
        Section(
            "Failures",
            f"{_share(total['failure_rate'])} of the calls that completed or failed did fail. Here "
            "are these, and those that were left for a reason, by kind and HTTP status.",
            [
                figure(analytics.plot_failures(errors), "calls that went wrong, by kind"),
                _table(errors, errors_shown),
            ]
            if len(errors)
            else [sentence("No call went wrong.")],
        ),
        Section(
            "Choosing a model",
            "To the left is cheaper, further down is quicker, and a small point fails rarely. No "
            "other model beats those on the Pareto front in all three.",
            [
                figure(
                    analytics.plot_pareto(models, width=WIDE),
                    "cost, latency and failures of each model",
                    narrow=analytics.plot_pareto(models, width=NARROW),
                )
            ],
        ),
        Section(
            "Audit of costs",
            "Computed (tokens times listed prices) against billed (what OpenRouter charged), call "
            f"by call. Unexplained: {analytics.unexplained_share(audited):.4%} of the bill.",
            [
                figure(analytics.plot_audit(audit), "calls whose costs differ, by reason")
                if audit["differing"].sum()
                else sentence("Every cost that is known is as computed."),
                _table(audit, kinds.AUDIT_COLUMNS),
            ]
            if len(audit)
            else [sentence("No cost is known.")],
        ),
    ]
    return document(TITLE, _head(calls, total, where), _tiles(total), sections)


def _head(calls: Any, total: Mapping[str, Any], where: str | None) -> list[str]:
    """What the page is about: how many calls, of when and of which kind, and when it was made."""
    began = calls.select("started_at")
    first, last = (edge.collect().item() for edge in (began.min(), began.max()))
    said = [counted(total["calls"], "call")]
    if first is not None:
        said.append(f"{_minute(first)} to {_minute(last)} UTC")
    if where is not None:
        said.append(f"where {where}")
    made = f"made {_minute(datetime.now(UTC))} UTC by tachograph {tachograph.__version__}"
    return [*said, made]


def _tiles(total: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is said in large figures: its name, the figure, and what else there is to it."""
    unknown, spent = total["calls_without_cost"], total["spent_usd"]
    read, written = column_cells("_tokens", [total["input_tokens"], total["output_tokens"]])
    return [
        (
            "spent",
            UNKNOWN if spent is None else few_digits(spent),
            "USD" + (" +" if unknown else ""),
        ),
        ("calls", f"{total['calls']:,}", f"{total['completed']:,} completed"),
        ("failed", _share(total["failure_rate"]), counted(total["failed"], "call")),
        ("tokens in", read.plain, f"{written.plain} out"),
        ("cost not known", f"{unknown:,}", "calls, in no sum"),
    ]


def _summary(report: Any) -> str:
    return _table(report, kinds.summary_headings(report), total=analytics.total(report))


def _table(report: Any, headings: Mapping[str, str], total: Mapping[str, Any] | None = None) -> str:
    headings = {name: _LONGER.get(name, heading) for name, heading in headings.items()}
    shown = grid(report.head(MOST_ROWS), headings, total, kinds.UNKNOWN_COSTS)
    notes = []
    if total is not None and (unknown := total["calls_without_cost"]):
        notes.append(f"+ and {counted(unknown, 'call')} whose cost is not known.")
    if left := max(0, len(report) - MOST_ROWS):
        notes.append(f"{counted(left, 'line')} more are left out.")
    return table(shown, " ".join(notes))


def _share(share: float | None) -> str:
    return column_cells("_rate", [share])[0].plain


def _minute(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M")
