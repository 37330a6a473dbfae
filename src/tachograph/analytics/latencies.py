"""How long answers take: quantiles, first token, and the pace of writing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tachograph.analytics.schema import generation_seconds
from tachograph.analytics.summary import Frame, by_volume, known_sum, ratio, same_kind
from tachograph.core.records import Outcome


def latency(
    frame: Frame,
    *keys: pl.Expr,
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
    seconds = generation_seconds()
    tokens = pl.when(seconds.is_not_null()).then(pl.col("output_tokens"))
    pace = ratio(known_sum(tokens), known_sum(seconds))
    return same_kind(
        frame,
        lambda calls: by_volume(
            calls.filter(wanted),
            keys or (pl.col("model"),),
            *(_quantile("latency", percent) for percent in (50, 90, 95, 99)),
            pl.col("latency_seconds").max().alias("latency_max_seconds"),
            *(_quantile("first_token", percent) for percent in (50, 90, 95, 99)),
            pace.alias("output_tokens_per_second"),
            (pl.col("output_tokens") / seconds)
            .quantile(0.5, interpolation="equiprobable")
            .alias("output_tokens_per_second_p50"),
            (1 / pace).alias("seconds_per_output_token"),
        ),
    )


def _quantile(measure: str, percent: int) -> pl.Expr:
    return (
        pl.col(f"{measure}_seconds")
        .quantile(percent / 100, interpolation="equiprobable")
        .alias(f"{measure}_p{percent}_seconds")
    )
