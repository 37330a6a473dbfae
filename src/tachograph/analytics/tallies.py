"""What can be added up of calls: sums of each group, and how many values are in each bucket.

One frame holds both: a row of sums has no `_measure`, and a row of a bucket has nothing but its
`_measure`, `_bucket` and `_count`. Tallies of parts are added up to those of the whole, so calls
are tallied as they pass by, and only the tallies stay in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tachograph.analytics import histogram
from tachograph.analytics.schema import MONEY

SUMMED: dict[str, pl.DataType] = {
    "calls": pl.Int64(),
    "calls_without_cost": pl.Int64(),
    "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "cache_read_input_tokens": pl.Int64(),
    "reasoning_output_tokens": pl.Int64(),
    "billed_usd": MONEY,
    "computed_usd": MONEY,
    "spent_usd": MONEY,
    "generated_tokens": pl.Int64(),
    "generation_seconds": pl.Float64(),
}
"""What is summed of calls, before they are told apart by outcome: columns of their facts."""
MEASURES = ("latency", "first_token")
"""What there are histograms of: columns of the facts of a call."""
MEASURE = pl.Categorical()
COUNTED = pl.Schema({"_measure": MEASURE, "_bucket": pl.Int16(), "_count": pl.Int64()})


def tallied(facts: pl.LazyFrame, names: Sequence[str], summed: Sequence[str]) -> pl.LazyFrame:
    """The tallies of each combination of the named columns; reads the facts once."""
    schema = facts.collect_schema()
    made = pl.Schema({name: schema[name] for name in (*names, *summed)} | COUNTED)

    def of_part(part: pl.DataFrame) -> pl.DataFrame:
        return tallies(part, names, summed).select(pl.col(name).cast(made[name]) for name in made)

    parts = facts.map_batches(of_part, streamable=True, schema=made)
    return parts.group_by(*names, "_measure", "_bucket").agg(
        *known_sums(summed), pl.col("_count").sum()
    )


def tallies(facts: pl.DataFrame, names: Sequence[str], summed: Sequence[str]) -> pl.DataFrame:
    """The tallies of one part; `_count` is null in a row of sums."""
    measures = [measure for measure in MEASURES if measure in facts.columns]
    groups = grouped(facts, names, summed, measures)
    return pl.concat(
        [groups.drop(measures), *(_buckets(groups, names, measure) for measure in measures)],
        how="diagonal",
    )


def _buckets(groups: pl.DataFrame, names: Sequence[str], measure: str) -> pl.DataFrame:
    """How many of the values that a group lists are in each bucket; a group by its number."""
    counts = (
        groups.select(measure)
        .with_row_index("_group")
        .explode(measure, empty_as_null=False)
        .group_by("_group", _bucket=histogram.bucket(pl.col(measure)))
        .agg(_count=pl.len().cast(pl.Int64))
    )
    return groups.select(names)[counts["_group"]].with_columns(
        counts["_bucket"], counts["_count"], _measure=pl.lit(measure, MEASURE)
    )


def grouped(
    facts: pl.DataFrame, names: Sequence[str], summed: Sequence[str], measures: Sequence[str]
) -> pl.DataFrame:
    """One row for each combination of the named columns: sums of what is known, and of the
    measures a list of the values that are."""
    return facts.group_by(names).agg(*known_sums(summed), pl.col(measures).drop_nulls())


def known_sum(column: pl.Expr) -> pl.Expr:
    """The sum of what is known; null when nothing is."""
    return pl.when(column.count() > 0).then(column.sum())


def known_sums(names: Sequence[str]) -> list[pl.Expr]:
    """The same of each of these columns."""
    return [known_sum(pl.col(name)).alias(name) for name in names]
