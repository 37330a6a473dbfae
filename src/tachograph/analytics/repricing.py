"""What calls would have cost at another model's price."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from tachograph.analytics.schema import MONEY
from tachograph.openrouter.suggestion import meant


def cost_at(prices: pl.DataFrame, model: str) -> pl.Expr:
    """USD that a call's tokens would cost at the present listed price of this model.

    For columns of calls; `prices` are those of `read_prices`. Null where the tokens of a call are
    not known. Another model counts and writes other tokens for the same work, and rates for long
    prompts are not looked at: take it as an estimate. ValueError where the model has no price.
    """
    listed = prices.filter(
        pl.col("provider").is_null(), pl.col("valid_until_at").is_null(), model=model
    )
    if listed.is_empty():
        raise ValueError(f"{model!r} has no listed price{meant(model, prices['model'])}")
    price = listed.row(0, named=True)
    prompt, completion = price["prompt"], price["completion"]
    if prompt is None or completion is None:
        raise ValueError(f"{model!r} is not priced by input and output tokens")
    read = pl.col("cache_read_input_tokens").fill_null(0)
    written = pl.col("cache_write_input_tokens").fill_null(0)
    parts = (
        (pl.col("input_tokens") - read - written, prompt),
        (read, _either(price["input_cache_read"], prompt)),
        (written, _either(price["input_cache_write"], prompt)),
        (pl.col("output_tokens"), completion),
    )
    full = pl.sum_horizontal(
        *((tokens * pl.lit(rate)) for tokens, rate in parts), ignore_nulls=False
    )
    return (full * pl.lit(1 - (price["discount"] or Decimal(0)))).cast(MONEY).alias("cost_usd")


def _either(rate: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate
