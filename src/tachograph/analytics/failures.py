"""What went wrong, what became of it, and what it cost to get it right."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.operation_rows import operations
from tachograph.analytics.summary import (
    Frame,
    Key,
    by_volume,
    expressions,
    known_sum,
    ratio,
    same_kind,
)

_KIND = (pl.col("outcome"), pl.col("error_type"), pl.col("http_status"))


def errors(frame: Frame, *keys: Key) -> Frame:
    """Each kind of error (or other keys), the most frequent first.

    Of failed and of refused calls, and of those that were abandoned for a reason (cancelled,
    dropped, interrupted); each kind has one outcome, so they are told apart. `share` is of all
    these, `models` and `providers` say how many it met, and `message` is the latest that came
    with it.
    """
    stopped = pl.col("outcome").is_in(["failed", "refused"])
    wrong = stopped | pl.col("error_type").is_not_null()
    messages = pl.col("error_message").sort_by("started_at").drop_nulls()
    return same_kind(
        frame,
        lambda calls: by_volume(
            calls.filter(wrong),
            expressions(keys) or _KIND,
            pl.col("model").drop_nulls().n_unique().cast(pl.Int64).alias("models"),
            pl.col("provider").drop_nulls().n_unique().cast(pl.Int64).alias("providers"),
            pl.col("started_at").min().alias("first_at"),
            pl.col("started_at").max().alias("last_at"),
            known_sum(pl.col("spent_usd")),
            pl.col("spent_usd").null_count().cast(pl.Int64).alias("calls_without_cost"),
            messages.last().alias("message"),
        ).with_columns((pl.col("calls") / pl.col("calls").sum()).alias("share")),
    )


def retries(frame: Frame, *keys: Key) -> Frame:
    """What re-sending did for each model (or other keys), the most often used first.

    The keys are of operations (`operations`); the model is the first that was tried.
    `retried`: operations with a re-sending; `recovered`: those of them that completed in the end,
    `given_up` the others; `recovery_rate` = recovered / retried. `waiting_seconds` is the sum of
    the times in which these operations had no call under way, as far as it is known: null when
    it is of none of them, 0 when nothing was retried.
    """
    retried = pl.col("resends") > 0
    waiting = known_sum(pl.col("waiting_seconds").filter(retried))
    recovered = retried & (pl.col("outcome") == "completed")
    model = pl.col("models").list.first().alias("model")
    columns = {
        "retried": retried.sum().cast(pl.Int64),
        "recovered": recovered.sum().cast(pl.Int64),
        "given_up": (retried & ~recovered).sum().cast(pl.Int64),
        "recovery_rate": ratio(recovered.sum(), retried.sum()),
        "resends": pl.col("resends").sum(),
        "waiting_seconds": pl.when(retried.any()).then(waiting).otherwise(0.0),
    }
    return same_kind(
        frame,
        lambda calls: by_volume(
            operations(calls),
            expressions(keys) or [model],
            *(column.alias(name) for name, column in columns.items()),
        ).rename({"calls": "operations"}),
    )


def cost_per_success(frame: Frame, *keys: Key) -> Frame:
    """What a completed call costs with all that failed on the way, for each model or other keys.

    `spent_usd_per_success` = all that was spent / `completed`; `wasted_usd` is what was spent on
    calls that did not complete.
    """
    completed = pl.col("outcome") == "completed"
    spent = known_sum(pl.col("spent_usd"))
    wasted = known_sum(pl.when(~completed).then(pl.col("spent_usd")))
    successes = completed.sum().cast(pl.Int64)
    return same_kind(
        frame,
        lambda calls: by_volume(
            calls,
            expressions(keys) or [pl.col("model")],
            successes.alias("completed"),
            spent.alias("spent_usd"),
            wasted.alias("wasted_usd"),
            pl.col("spent_usd").null_count().cast(pl.Int64).alias("calls_without_cost"),
            ratio(spent, successes).alias("spent_usd_per_success"),
        ),
    )
