"""What can be reported: how each kind is made of calls, its columns for people, and its plot."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tachograph import analytics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

AUDIT_COLUMNS = {
    "reason": "reason",
    "calls": "calls",
    "differing": "differing",
    "billed_usd": "billed USD",
    "computed_usd": "computed USD",
    "difference_usd": "difference USD",
}


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
    AUDIT = "audit"


FUNCTIONS = {
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

SUMMARY = {
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
"""The columns of a report by a key, after the key."""

SPARE = (
    "first_token_p95_seconds",
    "first_token_p50_seconds",
    "latency_max_seconds",
    "last_at",
    "providers",
    "models",
    "outcome",
    "output_tokens_per_second",
    "cache_write_input_tokens",
    "computed_usd",
    "output_tokens",
    "waiting_seconds",
    "recovery_rate",
    "given_up",
    "completed",
    "input_tokens",
)
"""The columns that a narrow screen can do without, in this order."""

UNKNOWN_COSTS = {"spent_usd": "calls_without_cost"}
"""A sum of money that leaves something out has a `+`."""

HEADINGS: dict[Kind, Mapping[str, str]] = {
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
    Kind.AUDIT: AUDIT_COLUMNS,
}
"""The columns of the other reports."""

SUMMED = (*(kind for kind in Kind if kind not in HEADINGS), Kind.RETRIES, Kind.CACHE, Kind.COST)
"""Those that have their sums below them."""


def summary_headings(report: Any) -> dict[str, str]:
    """The columns for people of a report by keys: the keys, and what they have in common."""
    keys = [name for name in report.columns if name not in analytics.REPORT_COLUMNS]
    return {name: name for name in keys} | SUMMARY


def plot(kind: Kind, report: Any, calls: Any, quantiles: analytics.Quantiles) -> Any:
    """The plot of a report of that kind; `calls` are those that it was made of."""
    match kind:
        case Kind.DAYS:
            return analytics.plot_spend_by_day(calls)
        case Kind.HOURS:
            return analytics.plot_calls_by_hour(report)
        case Kind.LATENCY:
            return analytics.plot_latency(report)
        case Kind.ERRORS:
            return analytics.plot_failures(report)
        case Kind.RETRIES:
            return analytics.plot_retries(report)
        case Kind.CACHE:
            return analytics.plot_cache(report)
        case Kind.AUDIT:
            return analytics.plot_audit(report)
        case Kind.COST:
            return analytics.plot_pareto(analytics.by_model(calls, quantiles=quantiles).collect())
        case _:
            return analytics.plot_spend(report)


@contextmanager
def reread(kind: Kind, calls: Any) -> Iterator[Any]:
    """These calls for a report and its plot; read once, where the plot is made of them as well.

    Rollups are few rows, and stay as they are.
    """
    from tachograph.analytics.rereading import SUMMED_UP, read_once
    from tachograph.analytics.summary import is_rollups

    if kind in (Kind.DAYS, Kind.COST) and not is_rollups(calls):
        with read_once(calls, *SUMMED_UP, "started_at", "model") as read:
            yield read
    else:
        yield calls


def made(kind: Kind, calls: Any, by: str | None, quantiles: analytics.Quantiles, db: str) -> Any:
    """The report of these calls, as lazy as they are; `by` is the tag, `db` has the prices."""
    if kind is Kind.AUDIT:
        return analytics.audit_by(analytics.cost_audit(calls, db), "reason")
    if kind is Kind.CACHE:
        return analytics.cache(calls, prices=analytics.read_prices(db))
    if by is not None:
        return analytics.by_tag(calls, by, quantiles=quantiles)
    make: Callable[..., Any] = getattr(analytics, FUNCTIONS[kind])
    return make(calls) if kind in HEADINGS else make(calls, quantiles=quantiles)
