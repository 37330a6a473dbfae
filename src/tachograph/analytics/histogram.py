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
_ZERO = -(2**31)
"""The bucket of what is not above zero."""


def bucket(value: pl.Expr) -> pl.Expr:
    """The bucket that a value falls into; null where it is null."""
    whole = (value.log() / math.log(_RATIO)).ceil()
    return pl.when(value > 0).then(whole).when(value.is_not_null()).then(_ZERO).cast(pl.Int32)


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
