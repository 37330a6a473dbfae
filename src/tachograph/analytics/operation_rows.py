"""One row an operation: what its calls, re-sendings and fallbacks came to together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import polars as pl

from tachograph.analytics.frames import scan_calls
from tachograph.analytics.periods import When, instant
from tachograph.analytics.schema import CALLS, INSTANT, MONEY
from tachograph.analytics.sources import Source
from tachograph.analytics.summary import Frame, known_sum, same_kind
from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds

_FIRST = ("name", "session_id", "user_id", "tags", "service_name", "environment", "trace_id")
_TOKENS = ("input_tokens", "output_tokens")
_MONEY = ("billed_usd", "computed_usd", "spent_usd")

OPERATIONS = pl.Schema(
    {"operation_id": pl.String()}
    | {name: CALLS[name] for name in _FIRST}
    | {
        "started_at": INSTANT,
        "ended_at": INSTANT,
        "attempts": pl.Int64(),
        "resends": pl.Int64(),
        "outcome": CALLS["outcome"],
        "error_type": CALLS["error_type"],
        "latency_seconds": pl.Float64(),
        "waiting_seconds": pl.Float64(),
        "models": pl.List(pl.String()),
        "providers": pl.List(pl.String()),
    }
    | {name: CALLS[name] for name in _TOKENS}
    | dict.fromkeys(_MONEY, MONEY)
    | {"calls_without_cost": pl.Int64()}
)
"""Every column of a frame of operations, in order.

`attempts` counts the calls, `resends` those that sent a request again. `outcome` and `error_type`
are those of the call that began last. `latency_seconds` is the time in which a call was under
way, `waiting_seconds` the time between, and `started_at` + both = `ended_at`; null where it is
not known when a call ended. `models` and `providers` are those tried, in order. Tokens and money
are sums of what is known.
"""


def scan_operations(
    source: Source,
    since: When | None = None,
    until: When | None = None,
    *,
    archive: Path | str | None = None,
) -> pl.LazyFrame:
    """All operations that began in [since, until), one row each, with all of their calls.

    `archive` is a folder of `archive_calls`, whose calls are read with those of the source.
    """
    now = datetime.now(UTC)
    # an operation's calls may begin after `until`; its id tells when it began itself
    calls = scan_calls(source, since, archive=archive)
    if since is not None:
        calls = calls.filter(pl.col("operation_id") >= _smallest_id(instant(since, now=now)))
    if until is not None:
        calls = calls.filter(pl.col("operation_id") < _smallest_id(instant(until, now=now)))
    return operations(calls)


def operations(frame: Frame) -> Frame:
    """The operations of these calls, in the order in which they began."""
    return same_kind(frame, _operations)


def _operations(calls: pl.LazyFrame) -> pl.LazyFrame:
    began = pl.col("started_at").dt.timestamp("us")
    ended = began + (pl.col("latency_seconds") * 1e6).round().cast(pl.Int64)
    known = pl.col("_ended").null_count() == 0
    whole = pl.col("_ended").max() - pl.col("_began").min()
    idle = (pl.col("_began") - pl.col("_ended").cum_max().shift(1)).clip(lower_bound=0).sum()
    columns = {
        **{name: pl.col(name).first() for name in _FIRST},
        "started_at": pl.col("started_at").min(),
        "ended_at": pl.when(known).then(pl.col("_ended").max()).cast(INSTANT),
        "attempts": pl.len().cast(pl.Int64),
        "resends": (pl.col("resend_count") > 0).sum().cast(pl.Int64),
        "outcome": pl.col("outcome").last(),
        "error_type": pl.col("error_type").last(),
        "latency_seconds": pl.when(known).then((whole - idle) / 1e6),
        "waiting_seconds": pl.when(known).then(idle / 1e6),
        "models": pl.col("model").drop_nulls().unique(maintain_order=True),
        "providers": pl.col("provider").drop_nulls().unique(maintain_order=True),
        **{name: known_sum(pl.col(name)) for name in (*_TOKENS, *_MONEY)},
        "calls_without_cost": pl.col("spent_usd").null_count().cast(pl.Int64),
    }
    return (
        calls.with_columns(began.alias("_began"), ended.alias("_ended"))
        .sort("id")
        .group_by("operation_id", maintain_order=True)
        .agg(column.alias(name) for name, column in columns.items())
    )


def _smallest_id(at: datetime) -> str:
    return str(UUID(bytes=uuid7_floor(microseconds(at))))
