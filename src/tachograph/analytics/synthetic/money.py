"""Made-up money: computed is tokens x the price that is known, billed what is really asked.

They differ where real ones do: a price that fell is known some hours late, web searches cost what
no token tells, and a few bills are odd for no reason that could be found.
"""

from __future__ import annotations

import polars as pl

from tachograph.analytics.synthetic.making import Making, gather
from tachograph.core.units import microseconds


def with_money(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    """Costs in pico-dollars, and what they rest on, of calls whose tokens are known."""
    world, request = make.world, make.per_request
    started, cheaper = pl.col("started_at"), make.model("id") == world.cheaper
    fell = cheaper & (started >= microseconds(world.cheaper_at))
    noticed = cheaper & (started >= microseconds(world.noticed_at))
    searches = ~pl.col("_embeds") & request.happens("searches", 0.01)
    search = pl.when(searches).then(world.search).otherwise(0)
    odd = make.per_call.happens("odd", 0.0005)
    computed = _cost(make, noticed)
    asked = _cost(make, fell) * pl.when(odd).then(104).otherwise(100) // 100 + search
    calls = calls.with_columns(
        _asked_for=pl.when("_hit").then(0).otherwise(asked),
        computed_usd=pl.when("_hit").then(0).otherwise(computed),
        parameters=pl.when(searches).then(pl.lit('{"plugins":["web"]}')),
        is_byok=pl.when(pl.col("input_tokens").is_not_null()).then(
            ~pl.col("_hit") & request.happens("byok", 0.03)
        ),
        price_id=gather(
            world.price_ids, pl.when(noticed).then(len(world.models)).otherwise("_model")
        ),
    )
    cost = pl.col("_asked_for")
    source = pl.when("_asked").then(pl.lit("reconciled")).otherwise(pl.lit("billed"))
    priced = cost.is_not_null() & (make.model("listed") | pl.col("_hit"))
    return calls.with_columns(
        billed_usd=pl.when("is_byok").then(cost // 20).otherwise(cost),
        upstream_usd=pl.when("is_byok").then(cost),
        spent_usd=pl.when("is_byok").then(cost // 20 + cost).otherwise(cost),
        cost_source=pl.when(cost.is_not_null()).then(source).otherwise(pl.lit("unknown")),
        computed_usd=pl.when(priced).then("computed_usd"),
        price_id=pl.when(priced, ~pl.col("_hit")).then("price_id"),
    )


def _cost(make: Making, cheaper: pl.Expr) -> pl.Expr:
    """Tokens x price, in pico-dollars; null where the tokens are not known."""
    cached = pl.col("cache_read_input_tokens")
    whole = (
        (pl.col("input_tokens") - cached) * make.model("prompt")
        + cached * make.model("cache_read").fill_null(0)
        + pl.col("output_tokens").fill_null(0) * make.model("completion")
    )
    return whole * pl.when(cheaper).then(make.world.cheaper_percent).otherwise(100) // 100
