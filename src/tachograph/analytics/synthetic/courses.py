"""Made-up courses of calls: who serves them, which fail, and which send another again."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from tachograph.analytics.synthetic.making import Making, but
from tachograph.core.units import microseconds

SENDINGS = 3
"""Calls of one request at the most; they are made one after the other."""


def with_sendings(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    """Who serves each call, whether it fails, and which call sends another again.

    Of three rows in a row the second may send the first again, and the third the second.
    """
    calls = _with_courses(make, calls)
    for sending in range(1, SENDINGS):
        again = (
            (pl.col("_n") % SENDINGS == sending)
            & pl.col("_retryable").shift(1)
            & (pl.col("resend_count").shift(1) == sending - 1)
            & make.per_call.happens("sent again", 0.85)
        )
        ended = pl.col("started_at") + pl.col("_failed_seconds") * 1e6
        waited = (make.per_call.uniform("wait") + sending) * 5e5
        calls = calls.with_columns(
            but("_request", again, pl.col("_request").shift(1)),
            but("resend_count", again, sending),
            but("started_at", again, (ended.shift(1) + waited).cast(pl.Int64)),
        )
        calls = _with_courses(make, calls)
    return calls


def _with_courses(make: Making, calls: pl.DataFrame) -> pl.DataFrame:
    world, call = make.world, make.per_call
    calls = calls.with_columns(
        make.per_request.index("model", [model.share for model in world.models]).alias("_model")
    )
    served = (call.uniform("provider").pow(1.7) * make.model("providers").list.len()).floor()
    calls = calls.with_columns(
        make.model("providers").list.get(served.cast(pl.Int64)).alias("provider"),
        call.index("failure", [failure.share for failure in world.failures]).alias("_failure"),
    )
    out = (pl.col("provider") == world.outage_of) & pl.col("started_at").is_between(
        microseconds(world.outage_at),
        microseconds(world.outage_at + timedelta(hours=world.outage_hours)),
    )
    fails = call.happens("fails", pl.when(out).then(0.85).otherwise(0.02))
    seconds = call.lognormal("failing", make.failure("seconds"), 0.3)
    return calls.with_columns(
        fails.alias("_fails"),
        (fails & make.failure("retryable")).alias("_retryable"),
        pl.when(fails).then(seconds).alias("_failed_seconds"),
    )
