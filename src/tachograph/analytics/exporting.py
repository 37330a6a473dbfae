"""Frames of calls into files that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

_ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"

FORMATS: dict[str, Callable[[pl.LazyFrame, Path], object]] = {
    ".parquet": lambda frame, path: frame.sink_parquet(path),
    ".csv": lambda frame, path: _with_iso_instants(frame).sink_csv(path),
    ".ndjson": lambda frame, path: _with_iso_instants(frame).sink_ndjson(path),
}
"""What a file's name may end with."""


def write_frame(frame: pl.LazyFrame, to: Path) -> None:
    """Write a frame to a file, bit by bit, in the format that its name ends with.

    Words are text in every format, since a file with a shorter list of words could not be read
    together with one that has more. Money is digits in CSV and JSON. The file appears when it is
    whole.
    """
    write = FORMATS[to.suffix]
    words = [name for name, kind in frame.collect_schema().items() if isinstance(kind, pl.Enum)]
    part = to.with_name(f".{to.name}.part")
    try:
        write(frame.with_columns(pl.col(words).cast(pl.String)), part)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


def _with_iso_instants(frame: pl.LazyFrame) -> pl.LazyFrame:
    schema = frame.collect_schema()
    instants = [name for name, kind in schema.items() if kind == pl.Datetime("us", "UTC")]
    return frame.with_columns(pl.col(instants).dt.strftime(_ISO))
