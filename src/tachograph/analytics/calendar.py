"""Calls by day and by hour, with a row for those in which nothing was called."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from tachograph.analytics.rollups.schema import WHOLE_DAY
from tachograph.analytics.summary import SUMS, Frame, Quantiles, same_kind, summarised


def day(time_zone: str = "UTC") -> pl.Expr:
    """The date on which a call began, there."""
    return pl.col("started_at").dt.convert_time_zone(time_zone).dt.date().alias("day")


def hour(time_zone: str = "UTC") -> pl.Expr:
    """The hour in which a call began, as the instant of its beginning."""
    there = pl.col("started_at").dt.convert_time_zone(time_zone)
    return there.dt.truncate("1h").alias("hour")


def by_day(frame: Frame, *, time_zone: str = "UTC", quantiles: Quantiles = "exact") -> Frame:
    """Each day from the first call to the last, in their order, also days without a call.

    Where nothing was called, counts and sums are 0, and the rest is null.
    """
    return _by_time(frame, day(time_zone), _days, quantiles)


def by_hour(frame: Frame, *, time_zone: str = "UTC", quantiles: Quantiles = "exact") -> Frame:
    """Each hour from the first call to the last, in their order, also hours without a call."""
    return _by_time(frame, hour(time_zone), _hours, quantiles)


def _by_time(
    frame: Frame,
    key: pl.Expr,
    every: Callable[[pl.Expr, pl.Expr], pl.Expr],
    quantiles: Quantiles,
) -> Frame:
    name = key.meta.output_name()

    def filled(groups: pl.DataFrame) -> pl.DataFrame:
        if groups.is_empty():
            return groups
        whole = groups.select(every(pl.col(name).min(), pl.col(name).max()).alias(name))
        sums = pl.col([column for column in SUMS if column in groups.columns])
        nothing = pl.col("calls").is_null()
        return whole.join(groups, on=name, how="left", maintain_order="left").with_columns(
            pl.when(nothing).then(sums.fill_null(0)).otherwise(sums)
        )

    def build(calls: pl.LazyFrame) -> pl.LazyFrame:
        if WHOLE_DAY in calls.collect_schema() and not key.meta.eq(day()):
            raise ValueError(
                f"rollups of whole days tell no {name} there: scan_rollups(..., every='hour')"
            )
        groups = summarised(calls.filter(pl.col("started_at").is_not_null()), [key], quantiles)
        return groups.map_batches(filled)

    return same_kind(frame, build)


def _days(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    return pl.date_range(first, last)


def _hours(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    return pl.datetime_range(first, last, "1h")
