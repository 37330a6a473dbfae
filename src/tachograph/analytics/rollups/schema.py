"""The schema of frames of rollups: what tells their rows apart, what is summed, what is counted."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.schema import INSTANT
from tachograph.analytics.tallies import MEASURE, SUMMED

KEYS = ("model", "provider", "outcome", "name")
ROLLUPS = pl.Schema(
    {
        "started_at": INSTANT,
        "model": pl.Categorical(),
        "provider": pl.Categorical(),
        "outcome": pl.Categorical(),
        "name": pl.Categorical(),
        "measure": MEASURE,
        "bucket": pl.Int16(),
        "count": pl.Int64(),
    }
    | SUMMED
)
"""Every column of a frame of rollups, in order.

A row has either sums, and a null `measure`, or how many values of a `measure` (`latency`,
`first_token`: of completed calls that no cache answered) are in a `bucket` of 1 %. `started_at` is
the beginning of the hour. Rows may be added up as one likes.
"""

WHOLE_DAY = "whole_day"
"""A further column where whole days were asked for: their `started_at` tells no hour."""
