"""Quantiles from a histogram of logarithmic buckets: within 1 %, in memory that does not grow.

A bucket is a whole number, and the histograms of two sets of calls are merged by adding counts
(the buckets are those of DDSketch: Masson, Rim and Lee, VLDB 2019).
"""

from __future__ import annotations

import math

import polars as pl

RELATIVE_ERROR = 0.01
"""Of a quantile, against the exact one."""

_RATIO = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_FIRST, _LAST = -2047, 2047
"""Values below 10^-17 and above 10^17 count with these."""
_ZERO = -2048
"""The bucket of what is not above zero."""
_MOST = 2**20 - 1
"""The largest count in a packed entry; what is beyond stands in further ones."""


def bucket(value: pl.Expr) -> pl.Expr:
    """The bucket that a value falls into; null where it is null."""
    whole = (value.log() / math.log(_RATIO)).ceil().clip(_FIRST, _LAST)
    return pl.when(value > 0).then(whole).when(value.is_not_null()).then(_ZERO).cast(pl.Int16)


def middle(of: pl.Expr) -> pl.Expr:
    """The value that stands for a bucket: no value in it is further off than 1 %."""
    value = (of.cast(pl.Float64) * math.log(_RATIO)).exp() * 2 / (_RATIO + 1)
    return pl.when(of > _ZERO).then(value).when(of == _ZERO).then(0.0)


def quantile(share: float, buckets: pl.Expr, counts: pl.Expr) -> pl.Expr:
    """The bucket of the smallest value with that share of the values at or below it.

    For a group whose `buckets` are sorted; `counts` says how many values each holds.
    """
    below = counts.cum_sum()
    return buckets.get((below >= (counts.sum() * share).ceil()).arg_max(), null_on_oob=True)


def packed(histograms: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Rows of `bucket` and `count` -> one row for each combination of the keys, in no order, with
    `packed`, a list of 32-bit numbers: 20 bits of count below 12 bits of bucket."""
    more = pl.col("count") > _MOST
    left = pl.col("count") - _MOST * pl.int_ranges(0, pl.col("count") // _MOST + 1)
    split = histograms.filter(more).with_columns(count=left).explode("count")
    split = split.with_columns(pl.col("count").clip(upper_bound=_MOST))
    entry = (pl.col("bucket").cast(pl.Int64) - _ZERO) * (_MOST + 1) + pl.col("count")
    return (
        pl.concat([histograms.filter(~more), split.filter(pl.col("count") > 0)])
        .group_by(keys)
        .agg(entry.cast(pl.UInt32).alias("packed"))
    )


def unpacked(entry: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """The bucket and the count of a packed entry."""
    bucket = (entry // (_MOST + 1)).cast(pl.Int16) + pl.lit(_ZERO, pl.Int16)
    return bucket.alias("bucket"), (entry % (_MOST + 1)).cast(pl.Int64).alias("count")
