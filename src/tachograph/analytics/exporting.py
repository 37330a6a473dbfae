"""Frames of calls into files that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from tachograph.analytics.day_files import COMPRESSION_LEVEL

_ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"

FORMATS: dict[str, Callable[[pl.LazyFrame, Path], object]] = {
    ".parquet": lambda frame, path: frame.sink_parquet(path, compression_level=COMPRESSION_LEVEL),
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


def parquet_bytes(frame: Any) -> bytes:
    """A file of Parquet with the rows of a frame, polars' or any with `columns` and `iter_rows()`.

    Words are text. Raises ValueError where a column has values of more than one type.
    """
    if not isinstance(frame, pl.DataFrame):
        columns = list(zip(*frame.iter_rows(), strict=True)) or [()] * len(frame.columns)
        try:
            frame = pl.DataFrame(
                [
                    pl.Series(name, values)
                    for name, values in zip(frame.columns, columns, strict=True)
                ]
            )
        except TypeError as error:
            raise ValueError(str(error).splitlines()[0]) from None
    file = BytesIO()
    frame.with_columns(cs.enum().cast(pl.String)).write_parquet(file)
    return file.getvalue()


def _with_iso_instants(frame: pl.LazyFrame) -> pl.LazyFrame:
    schema = frame.collect_schema()
    instants = [name for name, kind in schema.items() if kind == pl.Datetime("us", "UTC")]
    return frame.with_columns(pl.col(instants).dt.strftime(_ISO))
