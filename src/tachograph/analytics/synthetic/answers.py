"""Made-up answers: how calls end, when, and with how many tokens."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.synthetic.making import Making, gather


def with_answers(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    """Outcome, times and tokens of calls whose course is known."""
    call, request = make.per_call, make.per_request
    embeds = make.model("output_tokens") == 0
    hit = ~pl.col("_fails") & call.happens("cache", 0.01)
    calls = calls.with_columns(
        stream=~embeds & request.happens("stream", 0.65), _embeds=embeds, _hit=hit
    )
    left = pl.col("stream") & ~hit & call.happens("left early", 0.02)
    calls = calls.with_columns(
        outcome=pl.when("_fails")
        .then(pl.lit("failed"))
        .when(left)
        .then(pl.lit("abandoned"))
        .otherwise(pl.lit("completed")),
        input_tokens=request.lognormal("input", 1500, 1.1).clip(1, 200_000).cast(pl.Int64),
        output_tokens=call.lognormal("output", make.model("output_tokens"), 0.8).cast(pl.Int64),
        http_status=pl.when("_fails").then(make.failure("status")).otherwise(200),
        error_type=pl.when("_fails").then(make.failure("error_type")),
    )
    cancelled = (pl.col("outcome") == "abandoned") & call.happens("cancelled", 0.25)
    calls = calls.with_columns(
        error_type=pl.when(cancelled).then(pl.lit("cancelled")).otherwise("error_type")
    )
    return _with_tokens(make, _with_times(make, calls))


def _with_times(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    call = make.per_call
    paces = pl.Series(make.world.pace.values(), dtype=pl.Float64)
    names = pl.Series(make.world.pace.keys(), dtype=pl.String)
    hour = pl.col("started_at") // 3_600_000_000 % 24
    quick = pl.col("provider").replace_strict(names, paces, default=1.0)
    quick = quick / gather(make.world.rush, hour)
    first = call.lognormal("first", make.model("first_token_seconds"), 0.45) / quick
    pace = call.lognormal("pace", make.model("tokens_per_second"), 0.25) * quick
    share = pl.when(outcome="abandoned").then(call.uniform("left at")).otherwise(1.0)
    whole = first + pl.col("output_tokens") / pace * share
    latency = pl.when("_hit").then(call.uniform("hit") * 0.05 + 0.02).otherwise(whole)
    served = pl.col("outcome") != "failed"
    answered = pl.col("http_status").is_not_null()
    took = pl.when(served).then(latency).otherwise("_failed_seconds")
    return calls.with_columns(
        latency_seconds=took,
        first_token_seconds=pl.when(served, "stream").then(pl.min_horizontal(first, took)),
        headers_seconds=pl.when(answered).then(pl.min_horizontal(first * 0.3, took)),
    )


def _with_tokens(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    """Those of an answer that was cut or left are known only where /generation was asked."""
    call = make.per_call
    cut = (pl.col("outcome") == "failed") & make.failure("answers")
    asked = ((pl.col("outcome") == "abandoned") | cut) & call.happens("asked", 0.4)
    known = (pl.col("outcome") == "completed") | asked
    cached = pl.col("input_tokens") * call.uniform("cached share") // 128 * 128
    is_cached = make.model("cache_read").is_not_null() & call.happens("cached", 0.5)
    thought = pl.when(make.model("reasons")).then(
        pl.col("output_tokens") * call.uniform("reasoning") * 0.7
    )
    calls = calls.with_columns(
        input_tokens=pl.when(known).then("input_tokens"),
        output_tokens=pl.when(known & ~pl.col("_embeds")).then("output_tokens"),
        cache_read_input_tokens=pl.when(known).then(
            pl.when(is_cached).then(cached).otherwise(0).cast(pl.Int64)
        ),
        reasoning_output_tokens=pl.when(known & ~pl.col("_embeds")).then(
            thought.fill_null(0).cast(pl.Int64)
        ),
        _asked=asked,
    )
    return calls.with_columns(
        total_tokens=pl.col("input_tokens") + pl.col("output_tokens").fill_null(0),
        chunks=pl.when("stream").then(pl.col("output_tokens") + 3),
    )
