"""A LazyFrame of anything that can be read in batches: nothing is read before it is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl
from polars.io.plugins import register_io_source


@dataclass(frozen=True)
class Wanted:
    """What a query wants of its source."""

    columns: list[str]
    predicate: pl.Expr | None = None
    n_rows: int | None = None
    """So many of the rows that pass are enough."""

    @property
    def needed(self) -> list[str]:
        """The columns, and those that the predicate looks at."""
        looked_at = [] if self.predicate is None else self.predicate.meta.root_names()
        return list(dict.fromkeys([*self.columns, *looked_at]))

    @property
    def limit(self) -> int | None:
        """So many rows are enough before the predicate leaves any out."""
        return self.n_rows if self.predicate is None else None


Read: TypeAlias = Callable[[Wanted], Iterator[pl.DataFrame]]
"""Gives at least the columns needed, and at least the rows wanted."""


def lazy_frame(read: Read, schema: pl.Schema, *, name: str) -> pl.LazyFrame:
    """A frame with this schema whose rows `read` gives; `explain` shows it under this name."""
    source = _Source(read, schema)
    return register_io_source(source, schema=schema, validate_schema=True, explain_name=name)


@dataclass(frozen=True)
class _Source:
    """What polars calls."""

    read: Read
    schema: pl.Schema

    def __call__(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        columns = list(self.schema) if with_columns is None else with_columns
        left = n_rows
        for frame in self.read(Wanted(columns, predicate, n_rows)):
            kept = (frame if predicate is None else frame.filter(predicate)).select(columns)
            if left is not None:
                kept = kept.head(left)
                left -= len(kept)
            yield kept
            if left == 0:
                return
