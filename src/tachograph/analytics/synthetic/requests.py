"""Made-up requests: the ids, names and words that a call has from its caller."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.synthetic.making import Making, gather
from tachograph.analytics.synthetic.randomness import Draws, hex4

_TEAMS = ("search", "support", "growth", "research")
_NAMES = ("summarise", "answer", "extract", "classify", "translate")
_SDKS = ("openai/3.52.0", "openrouter/1.3.84", "httpx/0.28.1")

_NEIGHBOURS, _SESSIONS = 1200, 180
"""So many sessions share so many requests in a row: about four calls each."""


def with_requests(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    """Ids, names, and what else is told of a request."""
    call, request = make.per_call, make.per_request
    model, embeds = make.model("id"), pl.col("_embeds")
    team = request.integer("team", len(_TEAMS))
    session = pl.col("_request") // _NEIGHBOURS * _SESSIONS + request.integer("session", _SESSIONS)
    calls = calls.with_columns(
        id=_uuid7(call),
        attempt=pl.col("resend_count") + 1,
        operation_name=pl.when(embeds).then(pl.lit("embeddings")).otherwise(pl.lit("chat")),
        path=pl.when(embeds).then(pl.lit("/embeddings")).otherwise(pl.lit("/chat/completions")),
        host=pl.lit("openrouter.ai"),
        name=request.one_of("name", _NAMES),
        session_id=pl.when(request.happens("session", 0.6)).then(pl.format("s-{}", session)),
        user_id=pl.format("u-{}", (request.uniform("user").pow(2) * 500).cast(pl.Int64)),
        tags=gather([f'{{"team":"{team}"}}' for team in _TEAMS], team),
        service_name=gather(_TEAMS, team) + "-api",
        environment=request.one_of("environment", ["production"] * 9 + ["staging"]),
        sdk=request.one_of("sdk", _SDKS),
        model=model,
        request_model=model,
        response_model=pl.when(outcome="completed").then(model),
        max_tokens=pl.when(request.happens("max tokens", 0.5)).then(2048),
        temperature=pl.when(request.happens("temperature", 0.4)).then(0.2),
        request_bytes=pl.col("input_tokens").fill_null(500) * 4 + 300,
        response_bytes=pl.col("output_tokens").fill_null(20) * 6 + 700,
        finish_reason=pl.when(outcome="completed", _embeds=False).then(pl.lit("stop")),
        cache_status=pl.when("_hit").then(pl.lit("HIT")),
        generation_id=pl.format(
            "gen-{}-{}", pl.col("started_at") // 1_000_000, call.hexadecimal("generation", 20)
        ),
        trace_id=request.hexadecimal("trace", 32).str.decode("hex"),
        span_id=call.hexadecimal("span", 16).str.decode("hex"),
        trace_sampled=pl.lit(value=True),
        foreign_span=pl.lit(value=False),
    )
    sent, before = pl.col("resend_count"), pl.col("id").shift(1)
    first = pl.when(sent == 0).then("id").when(sent == 1).then(before)
    return calls.with_columns(
        operation_id=first.otherwise(pl.col("id").shift(2)),
        resend_of=pl.when(sent > 0).then(before),
    )


def _uuid7(draws: Draws) -> pl.Expr:
    """Ids of `started_at`, as `core.ids.uuid7` mints them."""
    milliseconds, microsecond = pl.col("started_at") // 1000, pl.col("started_at") % 1000
    parts = [
        milliseconds // 2**32,
        milliseconds // 2**16 % 2**16,
        milliseconds % 2**16,
        0x7000 + (microsecond * 4096 + 999) // 1000,
        0x8000 + draws.integer("id variant", 2**14),
    ]
    tail = draws.hexadecimal("id", 12)
    return pl.concat_str(*(hex4(part) for part in parts), tail).str.decode("hex")
