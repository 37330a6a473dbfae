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

from tachograph.analytics import histogram
from tachograph.analytics.schema import generation_seconds
from tachograph.core.records import OUTCOMES

Frame = TypeVar("Frame", pl.LazyFrame, pl.DataFrame)
"""A LazyFrame or a DataFrame of calls; reports give back the same kind."""

Quantiles = Literal["exact", "histogram"]
"""Exact needs all values of a group in memory; the histogram is within 1 % and needs none."""

_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
_MONEY = ("billed_usd", "computed_usd", "spent_usd")
_COUNTS = ("calls", *OUTCOMES, "calls_without_cost")
SUMS = (*_COUNTS, *_TOKENS, *_MONEY, "_generated_tokens", "_generation_seconds")

_QUANTILES = {
    "latency_p50_seconds": ("_latency", 0.5),
    "latency_p95_seconds": ("_latency", 0.95),
    "latency_p99_seconds": ("_latency", 0.99),
    "first_token_p50_seconds": ("_first_token", 0.5),
    "first_token_p95_seconds": ("_first_token", 0.95),
}

REPORT_COLUMNS = (
    "calls",
    *OUTCOMES,
    "failure_rate",
    *_QUANTILES,
    "output_tokens_per_second",
    *_TOKENS,
    *_MONEY,
    "calls_without_cost",
    "spent_usd_per_1000_calls",
)
"""The columns of a report after its keys."""


def same_kind(frame: Frame, build: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Frame:
    """What `build` makes of a frame: lazy of a lazy one, collected of a collected one."""
    if isinstance(frame, pl.DataFrame):
        return build(frame.lazy()).collect()
    return build(frame)


def summarised(
    calls: pl.LazyFrame, keys: Sequence[pl.Expr], quantiles: Quantiles = "exact"
) -> pl.LazyFrame:
    """One row for each combination of the keys (null is one of its own), in no order."""
    names = [key.meta.output_name() for key in keys]
    facts = calls.select(*keys, *_facts(), *_measures())
    if quantiles not in get_args(Quantiles):
        raise ValueError(f"quantiles is 'exact' or 'histogram', not {quantiles!r}")
    if quantiles == "exact":
        groups = facts.group_by(names).agg(*_sums(), *_exact_quantiles())
    else:
        groups = _through_histograms(facts, names)
    return groups.select(
        *names, *(_RATIOS.get(name, pl.col(name)).alias(name) for name in REPORT_COLUMNS)
    )


def by_volume(calls: pl.LazyFrame, keys: Sequence[pl.Expr], *columns: pl.Expr) -> pl.LazyFrame:
    """`calls` and these columns of each combination of the keys, the most called first."""
    names = [key.meta.output_name() for key in keys]
    down = [True, *(False for _ in keys)]
    return (
        calls.group_by(*keys)
        .agg(pl.len().cast(pl.Int64).alias("calls"), *columns)
        .sort("calls", *names, descending=down, nulls_last=True)
    )


def total(report: pl.DataFrame) -> dict[str, Any]:
    """The sums over all rows of a report, and the ratios of sums; nothing that needs the calls."""
    sums = report.select(known_sum(pl.col(*_COUNTS, *_TOKENS, *_MONEY)))
    ratios = [_RATIOS[name].alias(name) for name in ("failure_rate", "spent_usd_per_1000_calls")]
    return sums.with_columns(ratios).row(0, named=True)


def known_sum(column: pl.Expr) -> pl.Expr:
    """The sum of what is known; null when nothing is."""
    return pl.when(column.count() > 0).then(column.sum())


def ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """part / whole; null when the whole is 0."""
    return part / pl.when(whole != 0).then(whole)


def served() -> pl.Expr:
    """Calls whose times say something of the model: completed, and no cache's answer."""
    return (pl.col("outcome") == "completed") & pl.col("cache_status").ne_missing("HIT")


def _facts() -> list[pl.Expr]:
    """What is summed, as columns of each call."""
    return [
        pl.lit(1, pl.Int64).alias("calls"),
        *((pl.col("outcome") == word).cast(pl.Int64).alias(word) for word in OUTCOMES),
        pl.col("spent_usd").is_null().cast(pl.Int64).alias("calls_without_cost"),
        *(pl.col(name) for name in (*_TOKENS, *_MONEY)),
        pl.when(generation_seconds().is_not_null())
        .then(pl.col("output_tokens"))
        .alias("_generated_tokens"),
        generation_seconds().alias("_generation_seconds"),
    ]


def _measures() -> list[pl.Expr]:
    """What has quantiles, as columns of each call."""
    return [
        pl.when(served()).then(pl.col("latency_seconds")).alias("_latency"),
        pl.when(served()).then(pl.col("first_token_seconds")).alias("_first_token"),
    ]


def _sums() -> list[pl.Expr]:
    return [known_sum(pl.col(name)).alias(name) for name in SUMS]


def _exact_quantiles() -> list[pl.Expr]:
    return [
        pl.col(measure).quantile(share, interpolation="equiprobable").alias(name)
        for name, (measure, share) in _QUANTILES.items()
    ]


def _through_histograms(facts: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """The sums and quantiles of each group, from sums and counts of each bucket.

    Every call is there twice, for its latency and for its first token, so that it is read once.
    """
    first = pl.col("_measure") == "_first_token"
    value = pl.when(first).then(pl.col("_first_token")).otherwise(pl.col("_latency"))
    buckets = (
        facts.with_columns(_measure=pl.lit(["_latency", "_first_token"]))
        .explode("_measure")
        .with_columns(
            histogram.bucket(value).alias("_bucket"),
            *(pl.when(~first).then(pl.col(name)).alias(name) for name in SUMS),
        )
        .group_by(*names, "_measure", "_bucket")
        .agg(*_sums(), pl.len().cast(pl.Int64).alias("_count"))
    )
    return (
        buckets.sort("_bucket")
        .group_by(names, maintain_order=True)
        .agg(*_sums(), *_histogram_quantiles())
    )


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
    "output_tokens_per_second": ratio(pl.col("_generated_tokens"), pl.col("_generation_seconds")),
    "spent_usd_per_1000_calls": ratio(pl.col("spent_usd") * 1000, pl.col("calls")),
}
