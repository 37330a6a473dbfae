"""The laws of the histogram: within 1 %, merged by adding counts, packed without a loss."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tachograph.analytics import histogram

seconds = st.just(0.0) | st.floats(1e-9, 1e6)
some = st.lists(seconds, max_size=50)


def counted(values: list[float]) -> pl.DataFrame:
    """The rows of a histogram: buckets, and how many values each holds."""
    frame = pl.DataFrame({"value": pl.Series(values, dtype=pl.Float64)})
    buckets = frame.select(histogram.bucket(pl.col("value")).alias("bucket"))
    return buckets.group_by("bucket").agg(pl.len().cast(pl.Int64).alias("count")).sort("bucket")


def quantile(rows: pl.DataFrame, share: float) -> Any:
    found = histogram.quantile(share, pl.col("bucket"), pl.col("count"))
    return rows.sort("bucket").select(histogram.middle(found)).item()


@given(st.lists(seconds, min_size=1, max_size=200), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_a_hundredth_of_the_exact_one(
    values: list[float], share: float
) -> None:
    exact = sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
    error = abs(quantile(counted(values), share) - exact)
    assert error <= exact * histogram.RELATIVE_ERROR * (1 + 1e-9)


@given(some, some)
def test_the_histograms_of_two_parts_make_that_of_the_whole(
    left: list[float], right: list[float]
) -> None:
    both = pl.concat([counted(left), counted(right)])
    merged = both.group_by("bucket").agg(pl.col("count").sum()).sort("bucket")
    assert_frame_equal(merged, counted(left + right))


counts = st.integers(1, 100) | st.sampled_from([2**20 - 1, 2**20, 2**21 - 2, 2**40 // 2**18 + 1])
histograms = st.dictionaries(st.integers(-2048, 2047), counts, max_size=20)


@given(st.lists(histograms, min_size=1, max_size=3))
def test_packing_loses_nothing(of_groups: list[dict[int, int]]) -> None:
    rows = [
        {"group": group, "bucket": bucket, "count": count}
        for group, buckets in enumerate(of_groups)
        for bucket, count in buckets.items()
    ]
    schema = {"group": pl.Int64, "bucket": pl.Int16, "count": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema)
    packed = histogram.packed(frame, ["group"])
    assert packed.schema["packed"] == pl.List(pl.UInt32)
    entries = packed.explode("packed").select("group", *histogram.unpacked(pl.col("packed")))
    back = entries.group_by("group", "bucket").agg(pl.col("count").sum())
    assert_frame_equal(back, frame, check_row_order=False)
