"""Calls by what they have in common, the dearest first.

Each takes a LazyFrame or DataFrame of calls (`scan_calls`, `read_calls`, a part of one) and gives
back the same kind, one row a group: its keys, then the columns that `summary` defines. On a
LazyFrame nothing is collected.
"""

from __future__ import annotations

import polars as pl

from tachograph.analytics.summary import Frame, Quantiles, same_kind, summarised


def by_model(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each model; null where the model is not known."""
    return by(frame, pl.col("model"), quantiles=quantiles)


def by_provider(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each provider that served tokens; null where none did, or none was told."""
    return by(frame, pl.col("provider"), quantiles=quantiles)


def by(frame: Frame, *keys: pl.Expr, quantiles: Quantiles = "exact") -> Frame:
    """Each combination of these expressions, dearest first; without cost last, in their order."""
    order = ["spent_usd", "calls", *(key.meta.output_name() for key in keys)]
    down = [True, True, *(False for _ in keys)]
    return same_kind(
        frame,
        lambda calls: summarised(calls, keys, quantiles).sort(
            order, descending=down, nulls_last=True
        ),
    )
