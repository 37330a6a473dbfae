"""Calls added up by hour, in memory: what rollups are made of, and what stands beside them."""

from __future__ import annotations

import polars as pl

from tachograph.analytics.rollups.reading import Asked, shaped
from tachograph.analytics.rollups.schema import KEYS, ROLLUPS
from tachograph.analytics.summary import call_facts
from tachograph.analytics.tallies import COUNTED, SUMMED, known_sums, tallies

BATCH_ROWS = 100_000
"""Calls that are in memory at a time."""
BATCHES = 16
"""So many are added up at a time."""

_EVERYTHING = Asked()
_NAMES = {name: name.removeprefix("_") for name in COUNTED}


def rolled(calls: pl.LazyFrame, asked: Asked = _EVERYTHING) -> pl.DataFrame:
    """The rollups of these calls, by hour; what was not asked for is null or left out."""
    names = ["started_at", *KEYS]
    facts = calls.select(
        pl.col("started_at").dt.truncate("1h"),
        pl.col(KEYS).cast(pl.Categorical()),  # numbers are grouped in half the time of text
        *(
            fact
            for fact in call_facts()
            if fact.meta.output_name() in {*asked.summed, *asked.measures}
        ),
    )
    whole = ROLLUPS.to_frame()
    parts: list[pl.DataFrame] = []
    for part in facts.collect_batches(chunk_size=BATCH_ROWS, maintain_order=False):
        parts.append(tallies(part, names, asked.summed).rename(_NAMES, strict=False))
        if len(parts) == BATCHES:
            whole, parts = added(pl.concat([whole, *parts], how="diagonal_relaxed")), []
    return added(pl.concat([whole, *parts], how="diagonal_relaxed"))


def added(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rollups with each combination of hour, keys and bucket once."""
    if rows.is_empty():
        return ROLLUPS.to_frame()
    summed = [name for name in SUMMED if name in rows.columns]
    same = [name for name in ROLLUPS if name not in SUMMED and name != "count"]
    sums = rows.filter(pl.col("measure").is_null()).group_by(same).agg(known_sums(summed))
    buckets = rows.filter(pl.col("measure").is_not_null()).group_by(same).agg(pl.col("count").sum())
    return shaped(pl.concat([sums, buckets], how="diagonal"), ROLLUPS).cast(ROLLUPS)
