"""What the makers of made-up columns share: the world, the draws, and how to look things up.

While calls are made their columns are those of `STORED`, and some more with names that begin with
an underscore: `_n` (the number of the call), `_request` (the number of the first call that sent
the same request), `_model` and `_failure` (places in the world's lists).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tachograph.analytics.synthetic.randomness import Draws
from tachograph.analytics.synthetic.worlds import World


@dataclass(frozen=True)
class Making:
    """A world, and the draws for its calls."""

    world: World
    per_call: Draws
    per_request: Draws
    """For what a re-sending repeats."""

    def model(self, attribute: str) -> pl.Expr:
        """What the call's model has there."""
        return gather([getattr(model, attribute) for model in self.world.models], pl.col("_model"))

    def failure(self, attribute: str) -> pl.Expr:
        """What the call's failure has there, should it fail."""
        values = [getattr(failure, attribute) for failure in self.world.failures]
        return gather(values, pl.col("_failure"))


def gather(values: Sequence[Any], at: pl.Expr) -> pl.Expr:
    """The value at that place of a list."""
    return pl.lit(pl.Series(values, strict=False)).gather(at)


def but(name: str, condition: pl.Expr, value: pl.Expr | int) -> pl.Expr:
    """The column as it is, but this value where the condition holds."""
    return pl.when(condition).then(value).otherwise(name).alias(name)
