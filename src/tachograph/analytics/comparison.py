"""One period against another, and the calls that stand out."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from tachograph.analytics.periods import When, period
from tachograph.analytics.summary import Frame, Key, Quantiles, expressions, same_kind, summarised

Period = tuple[When | None, When | None]
"""[since, until), each in any of the forms that `scan_calls` takes; None is no bound."""

COMPARED = (
    "calls",
    "failure_rate",
    "latency_p50_seconds",
    "latency_p95_seconds",
    "first_token_p50_seconds",
    "output_tokens_per_second",
    "input_tokens",
    "output_tokens",
    "spent_usd",
    "spent_usd_per_1000_calls",
)


_SUMMED = ("calls", "input_tokens", "output_tokens", "spent_usd")


def compare(
    frame: Frame, before: Period, after: Period, *keys: Key, quantiles: Quantiles = "exact"
) -> Frame:
    """What changed from one period to another, for each model or other keys.

    Of each measure there are `..._before`, `..._after` and `..._change` = after - before, which
    is null where one of the two is; counts and sums of a period without a call are 0. Those whose
    spending rose most come first.
    """
    now = datetime.now(UTC)
    chosen = expressions(keys) or [pl.col("model")]
    names: list[str] = [key.meta.output_name() for key in chosen]

    def build(calls: pl.LazyFrame) -> pl.LazyFrame:
        sides = []
        for side, within in (("before", before), ("after", after)):
            report = summarised(calls.filter(_within(within, now)), chosen, quantiles)
            measures = [pl.col(name).alias(f"{name}_{side}") for name in COMPARED]
            sides.append(report.select(*names, *measures))
        both = sides[0].join(sides[1], on=names, how="full", coalesce=True, nulls_equal=True)
        both = both.with_columns(
            pl.when(pl.col(f"calls_{side}").is_null())
            .then(pl.col(f"{name}_{side}").fill_null(0))
            .otherwise(f"{name}_{side}")
            for side in ("before", "after")
            for name in _SUMMED
        )
        columns = [column for name in COMPARED for column in _side_by_side(name)]
        down = [True, *(False for _ in names)]
        return both.select(*names, *columns).sort(
            "spent_usd_change", *names, descending=down, nulls_last=True
        )

    return same_kind(frame, build)


def top(frame: Frame, n: int = 10, *, by: str = "spent_usd") -> Frame:
    """The n calls with the most of a column, the most first; those without it are left out."""
    return same_kind(
        frame,
        lambda calls: (
            calls.filter(pl.col(by).is_not_null()).sort(by, "id", descending=[True, False]).head(n)
        ),
    )


def _within(within: Period, now: datetime) -> pl.Expr:
    if isinstance(within, str) or len(within) != 2:
        raise ValueError(f"{within!r} is no period: write (since, until)")
    since, until = period(*within, now=now)
    inside = pl.col("started_at").is_not_null()
    if since is not None:
        inside &= pl.col("started_at") >= since
    if until is not None:
        inside &= pl.col("started_at") < until
    return inside


def _side_by_side(name: str) -> list[pl.Expr]:
    before, after = pl.col(f"{name}_before"), pl.col(f"{name}_after")
    return [before, after, (after - before).alias(f"{name}_change")]
