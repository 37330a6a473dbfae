"""What caches gave: cached input tokens, and whole answers from OpenRouter's own cache."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.prices import PRICES
from tachograph.analytics.schema import MONEY
from tachograph.analytics.summary import (
    Frame,
    Key,
    by_volume,
    expressions,
    known_sum,
    ratio,
    same_kind,
)

_RATES = ("prompt", "input_cache_read", "input_cache_write", "discount")


def cache(frame: Frame, *keys: Key, prices: pl.DataFrame | None = None) -> Frame:
    """Caching of each model (or of other keys), the most called first.

    `cached_input_rate` = cache_read_input_tokens / input_tokens, over calls where both are known;
    `answers_from_cache` counts the calls that OpenRouter's cache answered, `cache_hit_rate` is
    their share of the completed ones.
    `saved_usd`, with `prices` (`read_prices`): what the tokens read from a cache would have cost
    more as others, less what those written to one cost more, by the price that the call was
    computed with; null where no price is known. Rates for long prompts are not looked at.
    """
    known = pl.col("cache_read_input_tokens").is_not_null()
    read = known_sum(pl.col("cache_read_input_tokens"))
    hits = ((pl.col("outcome") == "completed") & (pl.col("cache_status") == "HIT")).sum()
    columns = {
        "input_tokens": known_sum(pl.col("input_tokens")),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": known_sum(pl.col("cache_write_input_tokens")),
        "cached_input_rate": ratio(read, known_sum(pl.col("input_tokens").filter(known))),
        "answers_from_cache": hits.cast(pl.Int64),
        "cache_hit_rate": ratio(hits, (pl.col("outcome") == "completed").sum()),
        "saved_usd": known_sum(pl.col("_saved")).cast(MONEY),
    }
    rates = (PRICES.to_frame() if prices is None else prices).select(
        pl.col("id").alias("price_id"), *(pl.col(rate).alias(f"_{rate}") for rate in _RATES)
    )
    return same_kind(
        frame,
        lambda calls: by_volume(
            calls.join(rates.lazy(), on="price_id", how="left").with_columns(_saved=_saved()),
            expressions(keys) or [pl.col("model")],
            *(column.alias(name) for name, column in columns.items()),
        ),
    )


def _saved() -> pl.Expr:
    read = pl.col("cache_read_input_tokens") * (pl.col("_prompt") - pl.col("_input_cache_read"))
    written = pl.col("cache_write_input_tokens") * (
        pl.col("_input_cache_write") - pl.col("_prompt")
    )
    part = 1 - pl.col("_discount").fill_null(0)
    # nothing read from a cache saves nothing, also where no rate for it is listed
    return (
        pl.when(pl.col("cache_read_input_tokens") == 0).then(0).otherwise(read)
        - pl.when(pl.col("cache_write_input_tokens") > 0).then(written).otherwise(0)
    ) * part
