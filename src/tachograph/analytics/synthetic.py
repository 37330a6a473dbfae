"""Made-up calls in realistic mixtures, as frames: for examples, notebooks and benchmarks.

What there is (models, providers, a price change, an outage) is told by a `World`; the rest is
drawn. Money follows the rules of real calls: computed is tokens x price, billed is what the
provider takes, spent is billed plus upstream on BYOK.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import Any, NamedTuple

import polars as pl

from tachograph.analytics.randomness import Draws, hex4, place
from tachograph.analytics.schema import CALLS, STORED, declared
from tachograph.analytics.worlds import World
from tachograph.core.units import microseconds

CHUNK_ROWS = 600_000
"""Rows that are made at a time; a multiple of three, so that no chunk cuts a chain of sendings."""


def made_calls(world: World, n: int, seed: int) -> Iterator[pl.DataFrame]:
    """n calls over the days of the world, in the order of time, in chunks of the stored schema."""
    for start in range(0, n, CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, n)
        rows = pl.DataFrame({"_n": pl.int_range(start, end, eager=True)})
        moment = Draws(seed, pl.col("_n")).uniform("moment") * ((end - start) / n) + start / n
        calls = rows.with_columns(moment.sort().alias("_moment"))
        calls = calls.with_columns(_started(world), _request=pl.col("_n"), resend_count=pl.lit(0))
        make = _Maker(world, Draws(seed, pl.col("_n")), Draws(seed, pl.col("_request")))
        calls = make.identity(make.answers(make.sendings(calls)))
        calls = calls.with_columns(
            pl.lit(None).alias(name) for name in STORED if name not in calls.columns
        )
        yield calls.select(pl.col(name).cast(kind) for name, kind in STORED.items()).sort("id")


def made_frame(world: World, n: int, seed: int) -> pl.DataFrame:
    """The same as one frame of calls."""
    chunks = (declared(chunk, list(CALLS)) for chunk in made_calls(world, n, seed))
    return pl.concat([CALLS.to_frame(), *chunks])


def _started(world: World) -> pl.Expr:
    """A share of all calls -> its instant: days are busier than nights, Mondays than Sundays."""
    weights = [_business(world, hour) for hour in range(world.days * 24)]
    whole = sum(weights)
    before = list(accumulate((weight / whole for weight in weights), initial=0.0))
    hour = place(pl.col("_moment"), weights)
    within = (pl.col("_moment") - _gather(before, hour)) / _gather(weights, hour) * whole
    return ((hour + within) * 3.6e9).cast(pl.Int64).alias("started_at") + microseconds(world.since)


def _business(world: World, hour: int) -> float:
    at = world.since + timedelta(hours=hour)
    daylight = math.sin((at.hour - 6) / 14 * math.pi) if 6 <= at.hour < 20 else 0.0
    growth = 1 + 0.5 * hour / (world.days * 24)
    return (0.15 + daylight) * (0.4 if at.weekday() >= 5 else 1.0) * growth


class _Failure(NamedTuple):
    status: int | None
    error_type: str
    retryable: bool
    share: float
    seconds: float
    """The median of how long it took."""


_FAILURES = (
    _Failure(429, "upstream_rate_limited", True, 0.45, 0.3),
    _Failure(502, "provider_unavailable", True, 0.25, 1.5),
    _Failure(503, "provider_overloaded", True, 0.10, 0.4),
    _Failure(None, "read_timeout", True, 0.05, 60.0),
    _Failure(200, "stream_cut", False, 0.05, 4.0),
    _Failure(400, "context_length_exceeded", False, 0.06, 0.2),
    _Failure(402, "insufficient_credits", False, 0.02, 0.1),
    _Failure(403, "moderation", False, 0.02, 0.3),
)
_TEAMS = ("search", "support", "growth", "research")
_NAMES = ("summarise", "answer", "extract", "classify", "translate")
_SDKS = ("openai/3.52.0", "openrouter/1.3.84", "httpx/0.28.1")


@dataclass(frozen=True)
class _Maker:
    """Columns of calls. What a sending repeats of its request is drawn per request."""

    world: World
    per_row: Draws
    per_request: Draws

    def sendings(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Who serves each call, whether it fails, and which call sends another again.

        Of three rows in a row the second may send the first again, and the third the second.
        """
        calls = self._courses(calls)
        for sending in (1, 2):
            again = (
                (pl.col("_n") % 3 == sending)
                & pl.col("_retryable").shift(1)
                & (pl.col("resend_count").shift(1) == sending - 1)
                & self.per_row.happens("sent again", 0.85)
            )
            ended = pl.col("started_at") + pl.col("_failed_seconds") * 1e6
            waited = (self.per_row.uniform("wait") + sending) * 5e5
            calls = calls.with_columns(
                _but("_request", again, pl.col("_request").shift(1)),
                _but("resend_count", again, sending),
                _but("started_at", again, (ended.shift(1) + waited).cast(pl.Int64)),
            )
            calls = self._courses(calls)
        return calls

    def _courses(self, calls: pl.DataFrame) -> pl.DataFrame:
        models, row, request = self.world.models, self.per_row, self.per_request
        calls = calls.with_columns(
            request.index("model", [model.share for model in models]).alias("_model")
        )
        served = (row.uniform("provider").pow(1.7) * self._of("providers").list.len()).floor()
        calls = calls.with_columns(
            self._of("providers").list.get(served.cast(pl.Int64)).alias("provider"),
            row.index("failure", [failure.share for failure in _FAILURES]).alias("_failure"),
        )
        out = (pl.col("provider") == self.world.outage_of) & pl.col("started_at").is_between(
            microseconds(self.world.outage_at),
            microseconds(self.world.outage_at + timedelta(hours=self.world.outage_hours)),
        )
        fails = row.happens("fails", pl.when(out).then(0.85).otherwise(0.02))
        seconds = row.lognormal("failing", self._failing("seconds"), 0.3)
        return calls.with_columns(
            fails.alias("_fails"),
            (fails & self._failing("retryable")).alias("_retryable"),
            pl.when(fails).then(seconds).alias("_failed_seconds"),
        )

    def answers(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Outcome, times, tokens and money."""
        row, request = self.per_row, self.per_request
        embeds = self._of("output_tokens") == 0
        hit = ~pl.col("_fails") & row.happens("cache", 0.01)
        calls = calls.with_columns(
            stream=~embeds & request.happens("stream", 0.65), _embeds=embeds, _hit=hit
        )
        left = pl.col("stream") & ~hit & row.happens("left early", 0.02)
        calls = calls.with_columns(
            outcome=pl.when("_fails")
            .then(pl.lit("failed"))
            .when(left)
            .then(pl.lit("abandoned"))
            .otherwise(pl.lit("completed")),
            input_tokens=request.lognormal("input", 1500, 1.1).clip(1, 200_000).cast(pl.Int64),
            output_tokens=row.lognormal("output", self._of("output_tokens"), 0.8).cast(pl.Int64),
            http_status=pl.when("_fails").then(self._failing("status")).otherwise(200),
            error_type=pl.when("_fails").then(self._failing("error_type")),
        )
        return self._money(self._tokens(self._times(calls)))

    def _times(self, calls: pl.DataFrame) -> pl.DataFrame:
        row = self.per_row
        first = row.lognormal("first", self._of("first_token_seconds"), 0.45)
        pace = row.lognormal("pace", self._of("tokens_per_second"), 0.25)
        share = pl.when(outcome="abandoned").then(row.uniform("left at")).otherwise(1.0)
        whole = first + pl.col("output_tokens") / pace * share
        latency = pl.when("_hit").then(row.uniform("hit") * 0.05 + 0.02).otherwise(whole)
        served = pl.col("outcome") != "failed"
        answered = pl.col("http_status").is_not_null()
        took = pl.when(served).then(latency).otherwise("_failed_seconds")
        return calls.with_columns(
            latency_seconds=took,
            first_token_seconds=pl.when(served, "stream").then(pl.min_horizontal(first, took)),
            headers_seconds=pl.when(answered).then(pl.min_horizontal(first * 0.3, took)),
        )

    def _tokens(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Those of a stream that was left early are known only where /generation was asked."""
        row, known = self.per_row, pl.col("outcome") == "completed"
        asked = (pl.col("outcome") == "abandoned") & row.happens("asked", 0.3)
        cached = pl.col("input_tokens") * row.uniform("cached share") // 128 * 128
        cached = pl.when(self._of("cache_read").is_not_null() & row.happens("cached", 0.5)).then(
            cached
        )
        thought = pl.when(self._of("reasons")).then(
            pl.col("output_tokens") * row.uniform("reasoning") * 0.7
        )
        calls = calls.with_columns(
            input_tokens=pl.when(known | asked).then("input_tokens"),
            output_tokens=pl.when((known | asked) & ~pl.col("_embeds")).then("output_tokens"),
            cache_read_input_tokens=pl.when(known | asked).then(cached.fill_null(0).cast(pl.Int64)),
            reasoning_output_tokens=pl.when((known | asked) & ~pl.col("_embeds")).then(
                thought.fill_null(0).cast(pl.Int64)
            ),
            _asked=asked,
        )
        return calls.with_columns(
            total_tokens=pl.col("input_tokens") + pl.col("output_tokens").fill_null(0),
            chunks=pl.when("stream").then(pl.col("output_tokens") + 3),
        )

    def _money(self, calls: pl.DataFrame) -> pl.DataFrame:
        world = self.world
        falls = (self._of("id") == world.cheaper) & (
            pl.col("started_at") >= microseconds(world.cheaper_at)
        )
        percent = pl.when(falls).then(world.cheaper_percent).otherwise(100)
        cached = pl.col("cache_read_input_tokens")
        cost = (
            (
                (pl.col("input_tokens") - cached) * self._of("prompt")
                + cached * self._of("cache_read").fill_null(0)
                + pl.col("output_tokens").fill_null(0) * self._of("completion")
            )
            * percent
            // 100
        )
        calls = calls.with_columns(
            computed_usd=pl.when("_hit").then(0).otherwise(cost),
            is_byok=pl.when(pl.col("input_tokens").is_not_null()).then(
                ~pl.col("_hit") & self.per_request.happens("byok", 0.03)
            ),
        )
        computed = pl.col("computed_usd")
        source = pl.when("_asked").then(pl.lit("reconciled")).otherwise(pl.lit("billed"))
        return calls.with_columns(
            billed_usd=pl.when("is_byok").then(computed // 20).otherwise(computed),
            upstream_usd=pl.when("is_byok").then(computed),
            spent_usd=pl.when("is_byok").then(computed // 20 + computed).otherwise(computed),
            cost_source=pl.when(computed.is_not_null()).then(source).otherwise(pl.lit("unknown")),
            computed_usd=pl.when(self._of("listed")).then(computed),
            price_id=pl.when(computed.is_not_null()).then(
                _gather(world.price_ids, pl.when(falls).then(len(world.models)).otherwise("_model"))
            ),
        )

    def identity(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Ids, names, and what else is told of a request."""
        row, request = self.per_row, self.per_request
        model, embeds = self._of("id"), pl.col("_embeds")
        team = request.integer("team", len(_TEAMS))
        calls = calls.with_columns(
            id=_uuid7(row),
            attempt=pl.col("resend_count") + 1,
            operation_name=pl.when(embeds).then(pl.lit("embeddings")).otherwise(pl.lit("chat")),
            path=pl.when(embeds).then(pl.lit("/embeddings")).otherwise(pl.lit("/chat/completions")),
            host=pl.lit("openrouter.ai"),
            name=request.one_of("name", _NAMES),
            session_id=pl.when(request.happens("session", 0.6)).then(
                pl.format("s-{}", request.integer("session", 100_000))
            ),
            user_id=pl.format("u-{}", (request.uniform("user").pow(2) * 500).cast(pl.Int64)),
            tags=_gather([f'{{"team":"{team}"}}' for team in _TEAMS], team),
            service_name=_gather(_TEAMS, team) + "-api",
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
                "gen-{}-{}", pl.col("started_at") // 1_000_000, row.hexadecimal("generation", 20)
            ),
            trace_id=request.hexadecimal("trace", 32).str.decode("hex"),
            span_id=row.hexadecimal("span", 16).str.decode("hex"),
            trace_sampled=pl.lit(value=True),
        )
        sent = pl.col("resend_count")
        first = pl.when(sent == 0).then("id").when(sent == 1).then(pl.col("id").shift(1))
        return calls.with_columns(
            operation_id=first.otherwise(pl.col("id").shift(2)),
            resend_of=pl.when(sent > 0).then(pl.col("id").shift(1)),
        )

    def _of(self, attribute: str) -> pl.Expr:
        """What the call's model has there."""
        return _gather([getattr(model, attribute) for model in self.world.models], pl.col("_model"))

    def _failing(self, attribute: str) -> pl.Expr:
        return _gather([getattr(failure, attribute) for failure in _FAILURES], pl.col("_failure"))


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


def _gather(values: Sequence[Any], at: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(values, strict=False)).gather(at)


def _but(name: str, condition: pl.Expr, value: pl.Expr | int) -> pl.Expr:
    """The column as it is, but this value where the condition holds."""
    return pl.when(condition).then(value).otherwise(name).alias(name)
