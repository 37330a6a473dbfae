"""Rollups in the form in which a database holds them: sums as numbers, histograms as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import polars as pl

from tachograph.analytics import histogram
from tachograph.analytics.rollups.schema import KEYS
from tachograph.analytics.tallies import MEASURES, SUMMED, known_sums
from tachograph.core.units import pico
from tachograph.store import rollups

_LARGEST = 2**63 - 1


def stored_rows(hours: int, rows: pl.DataFrame) -> Iterator[rollups.Row]:
    """One row for each hour (or day, when `hours` is 24) and what a rollup keeps apart."""
    names = ["started_at", *KEYS]
    whole = rows.filter(pl.col("measure").is_null()).group_by(names).agg(known_sums(list(SUMMED)))
    for measure in MEASURES:
        counts = rows.filter(pl.col("measure") == measure).group_by(*names, "bucket")
        packed = histogram.packed(counts.agg(pl.col("count").sum()).sort("bucket"), names)
        whole = whole.join(
            packed.rename({"packed": measure}), on=names, how="left", nulls_equal=True
        )
    whole = whole.with_columns(
        pl.col(KEYS).cast(pl.String), started_at=pl.col("started_at").dt.epoch("us")
    ).sort(names)
    number = began_us = 0
    for row in whole.iter_rows(named=True):
        number = number + 1 if row["started_at"] == began_us else 0
        began_us = row["started_at"]
        sums = [_stored_sum(name, row[name]) for name in SUMMED]
        blobs = [_stored_histogram(row[measure]) for measure in MEASURES]
        yield (hours, began_us, number, *(row[key] for key in KEYS), *map(_within, sums), *blobs)
        while any(isinstance(value, int) and abs(value) > _LARGEST for value in sums):
            number += 1
            sums = [value - _within(value) if isinstance(value, int) else None for value in sums]
            rest = [None if value == 0 else _within(value) for value in sums]
            rest[0] = rest[1] = 0
            yield (hours, began_us, number, *(row[key] for key in KEYS), *rest, None, None)


def _stored_sum(name: str, value: Any) -> Any:
    return pico(value) if name.endswith("_usd") and value is not None else value


def _within(value: Any) -> Any:
    """As much of a sum as a column holds; what is beyond stands in further rows."""
    return max(-_LARGEST, min(value, _LARGEST)) if isinstance(value, int) else value


def _stored_histogram(entries: list[int] | None) -> bytes | None:
    return None if entries is None else struct.pack(f"<{len(entries)}I", *entries)
