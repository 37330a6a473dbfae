"""Calls by what they have in common, the dearest first.

Each takes a LazyFrame or DataFrame of calls (`scan_calls`, `read_calls`, a part of one) and gives
back the same kind, one row a group: its keys, then the columns that `summary` defines. On a
LazyFrame nothing is collected. `by` takes any columns and expressions as keys.
"""

from __future__ import annotations

import polars as pl

from tachograph.analytics.schema import CALLS
from tachograph.analytics.summary import Frame, Key, Quantiles, expressions, same_kind, summarised


def by_model(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each model; null where the model is not known."""
    return by(frame, pl.col("model"), quantiles=quantiles)


def by_provider(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each provider that served tokens; null where none did, or none was told."""
    return by(frame, pl.col("provider"), quantiles=quantiles)


def by_model_and_provider(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each model at each provider that served it."""
    return by(frame, pl.col("model"), pl.col("provider"), quantiles=quantiles)


def by_session(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each session; null where a call had none."""
    return by(frame, pl.col("session_id"), quantiles=quantiles)


def by_user(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each user of the app; null where a call had none."""
    return by(frame, pl.col("user_id"), quantiles=quantiles)


def by_name(frame: Frame, *, quantiles: Quantiles = "exact") -> Frame:
    """Each name of an operation (`recorder.operation("summarise")`); null where it had none."""
    return by(frame, pl.col("name"), quantiles=quantiles)


def by_tag(frame: Frame, key: str, *, quantiles: Quantiles = "exact") -> Frame:
    """Each value of one tag, in a column of the tag's name; null where a call had none."""
    return by(frame, tag(key), quantiles=quantiles)


def by(frame: Frame, *keys: Key, quantiles: Quantiles = "exact") -> Frame:
    """Each combination of these columns or expressions, the dearest first; without cost last."""
    chosen: list[pl.Expr] = expressions(keys)
    order = ["spent_usd", "calls", *(key.meta.output_name() for key in chosen)]
    down = [True, True, *(False for _ in keys)]
    return same_kind(
        frame,
        lambda calls: summarised(calls, chosen, quantiles).sort(
            order, descending=down, nulls_last=True
        ),
    )


def tag(key: str) -> pl.Expr:
    """The value of a tag as text, to filter and to group by; null where a call has none."""
    if "\\" in key:
        raise ValueError(f"{key!r}: polars finds no JSON key with a backslash")
    quoted = key.replace("'", "\\'")
    return pl.col("tags").str.json_path_match(f"$['{quoted}']").alias(key)


def where(text: str) -> pl.Expr:
    """A filter written as in SQL: `provider = 'Azure' AND spent_usd > 0.01`; ValueError."""
    try:
        condition = pl.sql_expr(text)
        CALLS.to_frame().filter(condition)
    except pl.exceptions.PolarsError as error:
        raise ValueError(
            f"{text!r} is no condition on calls: {str(error).splitlines()[0]}"
        ) from None
    return condition
