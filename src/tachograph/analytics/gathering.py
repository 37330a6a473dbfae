"""Sums of each group of calls beside the values that its exact quantiles are of, in one pass.

Calls are gathered part by part as they pass by: the keys of a part are looked at once, its sums
stay, and of its rows nothing but the values (a list of them for each group) waits for the end.
polars' own `group_by` would keep every column of every row as soon as one quantile is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tachograph.analytics.tallies import known_sums


def gathered(
    facts: pl.LazyFrame,
    names: Sequence[str],
    summed: Sequence[str],
    quantiles: Mapping[str, tuple[str, float]],
) -> pl.LazyFrame:
    """One row for each combination of the named columns: sums, and quantiles.

    `quantiles` has for each name the column and the share of values at or below. Only values that
    are known count.
    """
    measures = list(dict.fromkeys(measure for measure, _ in quantiles.values()))
    schema = facts.collect_schema()
    made = pl.Schema(
        {name: schema[name] for name in (*names, *summed)}
        | {name: pl.List(schema[name]) for name in measures}
    )

    def of_part(part: pl.DataFrame) -> pl.DataFrame:
        groups = part.group_by(names).agg(*known_sums(summed), pl.col(measures).drop_nulls())
        return groups.select(pl.col(name).cast(made[name]) for name in made)

    parts = facts.map_batches(of_part, streamable=True, schema=made)
    return parts.group_by(names).agg(
        *known_sums(summed),
        *(
            pl.col(measure)
            .list.explode(empty_as_null=False)
            .quantile(share, interpolation="equiprobable")
            .alias(name)
            for name, (measure, share) in quantiles.items()
        ),
    )
