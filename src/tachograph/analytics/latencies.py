"""How long answers take: quantiles, first token, and the pace of writing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tachograph.analytics.gathering import exact_quantiles, gathered
from tachograph.analytics.schema import generation_seconds
from tachograph.analytics.summary import (
    Frame,
    Key,
    expressions,
    most_called_first,
    ratio,
    same_kind,
)
from tachograph.analytics.tallies import known_sums
from tachograph.core.records import Outcome

_QUANTILES = {
    f"{measure}_p{percent}_seconds": (f"{measure}_seconds", percent / 100)
    for measure in ("latency", "first_token")
    for percent in (50, 90, 95, 99)
} | {
    "latency_max_seconds": ("latency_seconds", 1.0),
    "output_tokens_per_second_p50": ("output_tokens_per_second", 0.5),
}
_SUMS = ("calls", "tokens", "seconds")
_COLUMNS = (
    "calls",
    *(f"latency_{which}_seconds" for which in ("p50", "p90", "p95", "p99", "max")),
    *(f"first_token_{which}_seconds" for which in ("p50", "p90", "p95", "p99")),
    "output_tokens_per_second",
    "output_tokens_per_second_p50",
    "seconds_per_output_token",
)


def latency(
    frame: Frame,
    *keys: Key,
    outcomes: Sequence[Outcome] = ("completed",),
    cache_hits: bool = False,
) -> Frame:
    """Times of each model (or of other keys), the most called first.

    Of completed calls that no cache answered, unless other outcomes or cache hits are asked for.
    Quantiles are of `latency_seconds` and of `first_token_seconds` (streams only).
    `output_tokens_per_second` is the sum of output tokens / the sum of (latency - first token)
    over completed streams with 2 tokens or more, `seconds_per_output_token` its inverse, and
    `output_tokens_per_second_p50` the median of the calls' own.
    """
    wanted = pl.col("outcome").is_in(list(outcomes))
    if not cache_hits:
        wanted &= pl.col("cache_status").ne_missing("HIT")
    chosen = expressions(keys) or [pl.col("model")]
    names: list[str] = [key.meta.output_name() for key in chosen]
    seconds = generation_seconds()
    tokens = pl.col("output_tokens")
    facts = (
        pl.lit(1, pl.Int64).alias("calls"),
        pl.col("latency_seconds", "first_token_seconds"),
        pl.when(seconds.is_not_null()).then(tokens).alias("tokens"),
        seconds.alias("seconds"),
        (tokens / seconds).alias("output_tokens_per_second"),
    )
    pace = ratio(pl.col("tokens"), pl.col("seconds"))

    def build(calls: pl.LazyFrame) -> pl.LazyFrame:
        rows = calls.filter(wanted).select(*chosen, *facts)
        measures = list(dict.fromkeys(measure for measure, _ in _QUANTILES.values()))
        groups = (
            gathered(rows, names, _SUMS, measures)
            .group_by(names)
            .agg(*known_sums(_SUMS), *exact_quantiles(_QUANTILES))
            .with_columns(output_tokens_per_second=pace, seconds_per_output_token=1 / pace)
            .select(*names, *_COLUMNS)
        )
        return most_called_first(groups, names)

    return same_kind(frame, build)
