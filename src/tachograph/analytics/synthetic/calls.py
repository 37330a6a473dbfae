"""Made-up calls in realistic mixtures, as frames: for examples, notebooks and benchmarks.

What there is (models, providers, a price change, an outage) is told by a `World`; the rest is
drawn. Money follows the rules of real calls: computed is tokens x price, billed is what the
provider takes, spent is billed plus upstream on BYOK.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate

import polars as pl

from tachograph.analytics.schema import CALLS, STORED, declared
from tachograph.analytics.synthetic.answers import with_answers
from tachograph.analytics.synthetic.courses import SENDINGS, with_sendings
from tachograph.analytics.synthetic.making import Making, gather
from tachograph.analytics.synthetic.money import with_money
from tachograph.analytics.synthetic.randomness import Draws, place
from tachograph.analytics.synthetic.requests import with_requests
from tachograph.analytics.synthetic.worlds import World
from tachograph.core.units import microseconds

CHUNK_ROWS = 20_000 * SENDINGS
"""Rows that are made at a time; no chunk cuts a chain of sendings."""


def made_calls(world: World, n: int, seed: int) -> Iterator[pl.DataFrame]:
    """n calls over the days of the world, in the order of time, in chunks.

    Their columns are those of the stored schema that are ever filled, the same in each chunk.
    """
    make = Making(world, Draws(seed, pl.col("_n")), Draws(seed, pl.col("_request")))
    for start in range(0, n, CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, n)
        rows = pl.DataFrame({"_n": pl.int_range(start, end, eager=True)})
        moment = make.per_call.uniform("moment") * ((end - start) / n) + start / n
        calls = rows.with_columns(moment.sort().alias("_moment"))
        calls = calls.with_columns(_started(world), _request=pl.col("_n"), resend_count=pl.lit(0))
        for add in (with_sendings, with_answers, with_money, with_requests):
            calls = add(make, calls)
        yield calls.select(
            pl.col(name).cast(kind) for name, kind in STORED.items() if name in calls.columns
        ).sort("id")


def made_frame(world: World, n: int, seed: int) -> pl.DataFrame:
    """The same as one frame of calls."""
    whole = (
        chunk.with_columns(
            pl.lit(None, kind).alias(name)
            for name, kind in STORED.items()
            if name not in chunk.columns
        )
        for chunk in made_calls(world, n, seed)
    )
    return pl.concat([CALLS.to_frame(), *(declared(chunk, list(CALLS)) for chunk in whole)])


def _started(world: World) -> pl.Expr:
    """A share of all calls -> its instant: days are busier than nights, Mondays than Sundays."""
    weights = [_business(world, hour) for hour in range(world.days * 24)]
    whole = sum(weights)
    before = list(accumulate((weight / whole for weight in weights), initial=0.0))
    hour = place(pl.col("_moment"), weights)
    within = (pl.col("_moment") - gather(before, hour)) / gather(weights, hour) * whole
    return ((hour + within) * 3.6e9).cast(pl.Int64).alias("started_at") + microseconds(world.since)


def _business(world: World, hour: int) -> float:
    at = world.since + timedelta(hours=hour)
    daylight = math.sin((at.hour - 6) / 14 * math.pi) if 6 <= at.hour < 20 else 0.0
    growth = 1 + 0.5 * hour / (world.days * 24)
    return (0.15 + daylight) * (0.4 if at.weekday() >= 5 else 1.0) * growth
