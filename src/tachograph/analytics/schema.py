"""The one schema of each frame, the same when empty, and how stored columns become it.

Declared is what CALLS says; stored, what STORED says.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from tachograph.core.records import COST_SOURCES, OUTCOMES
from tachograph.core.units import PICO
from tachograph.store.queries import COLUMNS, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

MONEY = pl.Decimal(38, 12)
INSTANT = pl.Datetime("us", "UTC")
OUTCOME = pl.Enum(OUTCOMES)
COST_SOURCE = pl.Enum(COST_SOURCES)

TOKENS_PER_SECOND = "output_tokens_per_second"

_DECLARED: dict[Kind, pl.DataType] = {
    Kind.ID: pl.String(),
    Kind.BYTES: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.INT16: pl.Int16(),
    Kind.INT32: pl.Int32(),
    Kind.INT64: pl.Int64(),
    Kind.FLOAT: pl.Float64(),
    Kind.BOOLEAN: pl.Boolean(),
    Kind.INSTANT: INSTANT,
    Kind.MONEY: MONEY,
}
_STORED: dict[Kind, pl.DataType] = _DECLARED | {
    Kind.ID: pl.Binary(),
    Kind.BYTES: pl.Binary(),
    Kind.INSTANT: pl.Int64(),
    Kind.MONEY: pl.Int64(),
}
_WORDS = {"outcome": OUTCOME, "cost_source": COST_SOURCE}

CALLS = pl.Schema(
    {name: _WORDS.get(name, _DECLARED[column.kind]) for name, column in COLUMNS.items()}
    | {TOKENS_PER_SECOND: pl.Float64()}
)
"""Every column of a frame of calls, in order."""

STORED = pl.Schema({name: _STORED[column.kind] for name, column in COLUMNS.items()})
"""The same as the database holds it: ids as bytes, instants and money as whole numbers."""

COMPUTED_FROM = {
    TOKENS_PER_SECOND: (
        "outcome",
        "stream",
        "output_tokens",
        "latency_seconds",
        "first_token_seconds",
    )
}
"""Columns that are in frames only, and what each is made of."""


def stored_names(names: Sequence[str]) -> list[str]:
    """The stored columns that these columns of a frame are made of, each once."""
    wanted = (stored for name in names for stored in COMPUTED_FROM.get(name, (name,)))
    return list(dict.fromkeys(wanted))


def stored_frame(names: Sequence[str], columns: Sequence[Sequence[object]]) -> pl.DataFrame:
    """A frame of values as a database driver gives them."""
    return pl.DataFrame(
        [
            pl.Series(name, values, dtype=STORED[name])
            for name, values in zip(names, columns, strict=True)
        ]
    )


def arrow_frame(stream: bytes) -> pl.DataFrame:
    """A frame of stored columns that came as an Arrow stream, in types near those of STORED."""
    frame = pl.read_ipc_stream(BytesIO(stream))
    return frame.cast({name: STORED[name] for name in frame.columns})


def declared(stored: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """These columns of CALLS, made of the stored ones."""
    frame = stored.with_columns(
        made for name in stored.columns if (made := _declared(name)) is not None
    )
    if TOKENS_PER_SECOND in names:
        frame = frame.with_columns(tokens_per_second())
    return frame.select(names)


def _declared(name: str) -> pl.Expr | None:
    """What is made of a stored column; None where it stays as it is."""
    kind, column = COLUMNS[name].kind, pl.col(name)
    if kind is Kind.ID:
        digits = column.bin.encode("hex")
        parts = [digits.str.slice(at, n) for at, n in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))]
        return pl.concat_str(parts, separator="-").alias(name)
    if kind is Kind.BYTES:
        return column.bin.encode("hex")
    if kind is Kind.INSTANT:
        return column.cast(INSTANT)
    if kind is Kind.MONEY:
        return usd(name)
    return column.cast(_WORDS[name]) if name in _WORDS else None


def usd(name: str) -> pl.Expr:
    """A column of whole pico-dollars as money."""
    return (pl.col(name).cast(pl.Decimal(38, 0)) * pl.lit(PICO)).alias(name)


def tokens_per_second() -> pl.Expr:
    """The column of that name, which is in frames only."""
    return (pl.col("output_tokens") / generation_seconds()).alias(TOKENS_PER_SECOND)


def generation_seconds() -> pl.Expr:
    """Latency - first token, of completed streams with 2 output tokens or more.

    Null for every other call, and where no time passed after the first token.
    """
    completed = pl.col("outcome") == "completed"
    seconds = pl.col("latency_seconds") - pl.col("first_token_seconds")
    return pl.when(completed, pl.col("stream"), pl.col("output_tokens") >= 2, seconds > 0).then(
        seconds
    )
