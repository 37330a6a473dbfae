"""Calls that several reports are made of, read once."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics.summary import call_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

SUMMED_UP = tuple({name: None for fact in call_facts() for name in fact.meta.root_names()})
"""The columns that reports by any key are made of, but for the key."""

GROUP_ROWS = 50_000
"""polars reads some groups of rows ahead; larger ones take more memory."""


@contextmanager
def read_once(calls: pl.LazyFrame, *columns: str) -> Iterator[pl.LazyFrame]:
    """These columns of the calls, which are read now, however often they are asked for.

    They are in a temporary Parquet file (some 40 bytes a call) that only this user can read, and
    that goes with the block.
    """
    with TemporaryDirectory(prefix="tachograph-") as folder:
        file = Path(folder) / "calls.parquet"
        calls.select(list(dict.fromkeys(columns))).sink_parquet(
            file,
            compression_level=1,
            statistics=False,
            maintain_order=False,
            row_group_size=GROUP_ROWS,
        )
        yield pl.scan_parquet(file)
