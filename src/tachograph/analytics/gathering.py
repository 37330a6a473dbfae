"""Sums of each group of calls beside the values that its exact quantiles are of, in one pass.

Calls are gathered part by part as they pass by: the keys of a part are looked at once, its sums
stay, and of its rows nothing but the values (a list of them for each group) waits for the end.
polars' own `group_by` would keep every column of every row as soon as one quantile is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tachograph.analytics.tallies import grouped


def gathered(
    facts: pl.LazyFrame, names: Sequence[str], summed: Sequence[str], measures: Sequence[str]
) -> pl.LazyFrame:
    """One row for each combination of the named columns in each part of the facts: sums, and
    of the measures a list of the values that are known. What is not asked for is null, and its
    facts are not read."""
    schema = facts.collect_schema()
    made = pl.Schema(
        {name: schema[name] for name in (*names, *summed)}
        | {name: pl.List(schema[name]) for name in measures}
    )

    def of_part(part: pl.DataFrame) -> pl.DataFrame:
        asked = (
            [name for name in some if name in part.columns] for some in (names, summed, measures)
        )
        groups = grouped(part, *asked)
        return groups.select(
            (pl.col(name) if name in groups.columns else pl.lit(None).alias(name)).cast(made[name])
            for name in made
        )

    return facts.map_batches(of_part, projection_pushdown=True, streamable=True, schema=made)


def exact_quantiles(of: Mapping[str, tuple[str, float]]) -> list[pl.Expr]:
    """Quantiles of gathered lists: each name's measure, and its share of values at or below."""
    return [
        pl.col(measure)
        .list.explode(empty_as_null=False)
        .quantile(share, interpolation="equiprobable")
        .alias(name)
        for name, (measure, share) in of.items()
    ]
