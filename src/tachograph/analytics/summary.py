"""What every report says of a group of calls: how many, how quick, how many tokens, what money.

- `failure_rate`: failed / (completed + failed); null when both are 0
- `latency_p50_seconds`, `_p95_`, `_p99_`: of completed calls that were not cache hits
- `first_token_p50_seconds`, `_p95_`: of those among them that have a first token
- `output_tokens_per_second`: sum of output tokens / sum of (latency - first token), over
  completed streams with 2 tokens or more and some time after the first
- tokens and money: sums of what is known, null when nothing is; `calls_without_cost` tells how
  many calls had no `spent_usd`
- `spent_usd_per_1000_calls`: 1000 x `spent_usd` / `calls`, half to even at the 12th digit

A quantile is the smallest value with at least that share of the values at or below it
(`percentile_disc` in SQL).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, get_args

import polars as pl
import polars.selectors as cs

from tachograph.analytics import histogram
from tachograph.analytics.gathering import exact_quantiles, gathered
from tachograph.analytics.schema import generation_seconds
from tachograph.analytics.tallies import COUNTED, MEASURES, SUMMED, known_sums, tallied
from tachograph.analytics.tallies import known_sum as known_sum
from tachograph.core.records import OUTCOMES

Frame = TypeVar("Frame", pl.LazyFrame, pl.DataFrame)
"""A LazyFrame or a DataFrame of calls; reports give back the same kind."""

Quantiles = Literal["exact", "histogram"]
"""Exact needs all values of a group in memory; the histogram is within 1 % and needs none."""

Key = pl.Expr | str
"""What to group by: an expression, or the name of a column."""

TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
MONEY = ("billed_usd", "computed_usd", "spent_usd")
_COUNTS = ("calls", *OUTCOMES, "calls_without_cost")
SUMS = (*OUTCOMES, *SUMMED)
_OUTCOME = "_outcome"

_QUANTILES = {
    "latency_p50_seconds": ("latency", 0.5),
    "latency_p95_seconds": ("latency", 0.95),
    "latency_p99_seconds": ("latency", 0.99),
    "first_token_p50_seconds": ("first_token", 0.5),
    "first_token_p95_seconds": ("first_token", 0.95),
}

REPORT_COLUMNS = (
    "calls",
    *OUTCOMES,
    "failure_rate",
    *_QUANTILES,
    "output_tokens_per_second",
    *TOKENS,
    *MONEY,
    "calls_without_cost",
    "spent_usd_per_1000_calls",
)
"""The columns of a report after its keys."""


def same_kind(frame: Frame, build: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Frame:
    """What `build` makes of a frame: lazy of a lazy one, collected of a collected one."""
    if isinstance(frame, pl.DataFrame):
        return build(frame.lazy()).collect()
    return build(frame)


def expressions(keys: Sequence[Key]) -> list[pl.Expr]:
    """The keys as expressions."""
    return [pl.col(key) if isinstance(key, str) else key for key in keys]


def summarised(
    calls: pl.LazyFrame, keys: Sequence[pl.Expr], quantiles: Quantiles = "exact"
) -> pl.LazyFrame:
    """One row for each combination of the keys (null is one of its own), in no order.

    `calls` may be rollups (`scan_rollups`), whose quantiles are those of the histogram.
    """
    names = [key.meta.output_name() for key in keys]
    if quantiles not in get_args(Quantiles):
        raise ValueError(f"quantiles is 'exact' or 'histogram', not {quantiles!r}")
    if is_rollups(calls):
        groups = _of_rollups(calls, keys, names)
    else:
        facts = calls.select(*keys, pl.col("outcome").alias(_OUTCOME), *call_facts())
        groups = (_gathered if quantiles == "exact" else _tallied)(facts, names)
    return groups.select(
        *names, *(_RATIOS.get(name, pl.col(name)).alias(name) for name in REPORT_COLUMNS)
    )


def is_rollups(frame: pl.LazyFrame) -> bool:
    """Whether its rows are sums of calls and counts of buckets instead of calls."""
    return {"measure", "bucket", "count"} <= frame.collect_schema().keys()


def by_volume(calls: pl.LazyFrame, keys: Sequence[pl.Expr], *columns: pl.Expr) -> pl.LazyFrame:
    """`calls` and these columns of each combination of the keys, the most called first."""
    names = [key.meta.output_name() for key in keys]
    groups = calls.group_by(*keys).agg(pl.len().cast(pl.Int64).alias("calls"), *columns)
    return most_called_first(groups, names)


def most_called_first(groups: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    """The groups by their `calls`, and those of as many by these columns."""
    down = [True, *(False for _ in names)]
    return groups.sort("calls", *names, descending=down, nulls_last=True)


def total(report: pl.DataFrame) -> dict[str, Any]:
    """The sums over all rows of a report, and the ratios of sums; nothing that needs the calls."""
    sums = report.select(known_sum(pl.col([name for name in _TOTALS if name in report.columns])))
    ratios = [made.alias(name) for name, made in _OF_SUMS.items() if name in report.columns]
    return sums.with_columns(ratios).row(0, named=True)


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """part / whole; null when the whole is 0."""
    return part / pl.when(whole != 0).then(whole)


def served() -> pl.Expr:
    """Calls whose times say something of the model: completed, and no cache's answer."""
    return (pl.col("outcome") == "completed") & pl.col("cache_status").ne_missing("HIT")


def call_facts() -> list[pl.Expr]:
    """What is summed, and what has quantiles, as columns of each call."""
    seconds = generation_seconds()
    return [
        pl.lit(1, pl.Int64).alias("calls"),
        pl.col("spent_usd").is_null().cast(pl.Int64).alias("calls_without_cost"),
        *(pl.col(name) for name in (*TOKENS, *MONEY)),
        pl.when(seconds.is_not_null()).then(pl.col("output_tokens")).alias("generated_tokens"),
        seconds.alias("generation_seconds"),
        pl.when(served()).then(pl.col("latency_seconds")).alias("latency"),
        pl.when(served()).then(pl.col("first_token_seconds")).alias("first_token"),
    ]


def _gathered(facts: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    parts = gathered(facts, [*names, _OUTCOME], [*SUMMED], MEASURES)
    return parts.group_by(names).agg(*_sums(), *exact_quantiles(_QUANTILES))


def _tallied(facts: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    rows = tallied(facts, [*names, _OUTCOME], [*SUMMED]).sort("_bucket")
    return rows.group_by(names, maintain_order=True).agg(*_sums(), *_histogram_quantiles())


def _of_rollups(rollups: pl.LazyFrame, keys: Sequence[pl.Expr], names: list[str]) -> pl.LazyFrame:
    """Sums and buckets are asked for apart, since most rows are of buckets and have no sums."""
    known = rollups.collect_schema().names()
    for key in keys:
        if not set(key.meta.root_names()) <= set(known):
            raise ValueError(
                f"rollups know nothing of {key.meta.output_name()}: they tell calls apart by "
                "started_at (its hour), model, provider, outcome and name"
            )
    sums = (
        rollups.filter(pl.col("measure").is_null())
        .select(*keys, pl.col("outcome").alias(_OUTCOME), *SUMMED)
        .group_by(names)
        .agg(_sums())
    )
    roots = dict.fromkeys(root for key in keys for root in key.meta.root_names())
    buckets = (
        rollups.filter(pl.col("measure").is_not_null())
        .group_by(*roots, "measure", "bucket")  # the keys are then made of fewer rows
        .agg(pl.col("count").sum())
        .select(*keys, *(pl.col(name.removeprefix("_")).alias(name) for name in COUNTED))
        .group_by(*names, "_measure", "_bucket")
        .agg(pl.col("_count").sum())
        .sort("_bucket")
        .group_by(*names, "_measure", maintain_order=True)
        .agg(
            histogram.quantile(share, pl.col("_bucket"), pl.col("_count")).alias(str(share))
            for share in {share for _, share in _QUANTILES.values()}
        )
        .group_by(names)
        .agg(
            histogram.middle(
                pl.col(str(share)).filter(pl.col("_measure") == measure).first()
            ).alias(name)
            for name, (measure, share) in _QUANTILES.items()
        )
    )
    groups = sums.join(buckets, on=names, how="left", nulls_equal=True)
    return groups.with_columns(cs.by_dtype(pl.Categorical).cast(pl.String))


def _sums() -> list[pl.Expr]:
    """Of rows that each are of one outcome."""
    calls = pl.col("calls")
    by_outcome = [calls.filter(pl.col(_OUTCOME) == word).sum().alias(word) for word in OUTCOMES]
    return [*known_sums([*SUMMED]), *by_outcome]


def _histogram_quantiles() -> list[pl.Expr]:
    made = []
    for name, (measure, share) in _QUANTILES.items():
        mine = (pl.col("_measure") == measure) & pl.col("_bucket").is_not_null()
        bucket = histogram.quantile(
            share, pl.col("_bucket").filter(mine), pl.col("_count").filter(mine)
        )
        made.append(histogram.middle(bucket).alias(name))
    return made


_RATIOS = {
    "failure_rate": ratio(pl.col("failed"), pl.col("completed") + pl.col("failed")),
    "output_tokens_per_second": ratio(pl.col("generated_tokens"), pl.col("generation_seconds")),
    "spent_usd_per_1000_calls": ratio(pl.col("spent_usd") * 1000, pl.col("calls")),
}

_TOTALS = (
    *_COUNTS,
    *TOKENS,
    *MONEY,
    *("cache_write_input_tokens", "answers_from_cache", "saved_usd"),  # of `cache`
    "wasted_usd",  # of `cost_per_success`
    *("operations", "retried", "recovered", "given_up", "resends", "waiting_seconds"),
)
_OF_SUMS = {
    "failure_rate": _RATIOS["failure_rate"],
    "spent_usd_per_1000_calls": _RATIOS["spent_usd_per_1000_calls"],
    "spent_usd_per_success": ratio(pl.col("spent_usd"), pl.col("completed")),
    "recovery_rate": ratio(pl.col("recovered"), pl.col("retried")),
}
