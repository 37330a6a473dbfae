"""Rollups out of a database: only the columns that a query looks at, and histograms only for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics import histogram
from tachograph.analytics.rollups.schema import KEYS, ROLLUPS, WHOLE_DAY
from tachograph.analytics.schema import usd
from tachograph.analytics.tallies import MEASURE, MEASURES, SUMMED
from tachograph.store import reading, rollups

if TYPE_CHECKING:
    from tachograph.analytics.lazy_frames import Wanted

SPANS_AT_ONCE = 200
"""SQLite takes no condition of a thousand parts."""


@dataclass(frozen=True)
class Span:
    """Rows of so many hours (1 or 24) that begin in [since, until), in microseconds; None: no
    bound."""

    hours: int
    since_us: int | None
    until_us: int | None


@dataclass(frozen=True)
class Asked:
    """What of rollups a query looks at."""

    keys: Sequence[str] = ("started_at", *KEYS)
    sums: bool = True
    """Whether rows of sums can pass."""
    summed: Sequence[str] = tuple(SUMMED)
    """Which of their columns are looked at, none where they cannot."""
    measures: Sequence[str] = MEASURES
    """Of which there have to be histograms."""


def asked(wanted: Wanted) -> Asked:
    """What this query looks at."""
    needed = set(wanted.needed)
    sums, buckets = _kinds_wanted(wanted.predicate)
    return Asked(
        tuple(name for name in ("started_at", *KEYS) if name in needed),
        sums,
        tuple(name for name in SUMMED if sums and name in needed),
        MEASURES if buckets and needed & {"measure", "bucket", "count"} else (),
    )


def _kinds_wanted(predicate: pl.Expr | None) -> tuple[bool, bool]:
    """Whether rows of sums, and rows of buckets, can pass: a plain question for one of them."""
    sums = buckets = True
    for part in anded(predicate):
        if part.meta.eq(pl.col("measure").is_null()):
            buckets = False
        elif part.meta.eq(pl.col("measure").is_not_null()):
            sums = False
    return sums, buckets


def anded(predicate: pl.Expr | None) -> Iterator[pl.Expr]:
    """The conditions that must all hold for the whole to hold."""
    parts = [] if predicate is None else [predicate]
    while parts:
        part = parts.pop()
        inner = part.meta.pop()
        if len(inner) == 2 and part.meta.eq(inner[1] & inner[0]):
            parts += inner
        else:
            yield part


def read_rows(
    connection: reading.Connection, spans: Sequence[Span], asked: Asked
) -> Iterator[pl.DataFrame]:
    """These rows with what was asked for, and `whole_day`."""
    names = ["hours", *asked.keys, *asked.summed]
    stored = [_stored(name) for name in names]
    stored += [f"{measure}_histogram" for measure in asked.measures]
    for at in range(0, len(spans), SPANS_AT_ONCE):
        some = spans[at : at + SPANS_AT_ONCE]
        where = [rollups.between(span.hours, span.since_us, span.until_us) for span in some]
        statement = rollups.select_rollups(stored, [rollups.any_of(where)])
        for columns in reading.chunks(connection, statement):
            values = zip(names, columns, strict=False)
            rows = pl.DataFrame(
                [pl.Series(name, them, dtype=_KINDS.get(name, pl.Int64())) for name, them in values]
            ).select(pl.col("hours").eq(24).alias(WHOLE_DAY), *map(_declared, names[1:]))
            if asked.sums:
                yield rows
            for measure, blobs in zip(asked.measures, columns[len(names) :], strict=True):
                yield _bucket_rows(rows.select(WHOLE_DAY, *asked.keys), measure, blobs)


def shaped(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """These columns of the rows, null where the rows have none of the name."""
    return rows.select(
        pl.col(name) if name in rows.columns else pl.lit(None, kind).alias(name)
        for name, kind in schema.items()
    )


def _bucket_rows(rows: pl.DataFrame, measure: str, blobs: Sequence[bytes | None]) -> pl.DataFrame:
    """One row for each entry of these packed histograms, with the columns of its row."""
    lengths = [0 if blob is None else len(blob) // 4 for blob in blobs]
    whole = b"".join(blob for blob in blobs if blob)
    entries = (
        pl.DataFrame({"entry": [whole]})
        .select(
            pl.col("entry")
            .bin.reinterpret(dtype=pl.Array(pl.UInt32, sum(lengths)), endianness="little")
            .explode()
        )
        .select(histogram.unpacked(pl.col("entry")))
        if whole
        else pl.DataFrame(schema={"bucket": pl.Int16, "count": pl.Int64})
    )
    repeated = rows.with_columns(_n=pl.int_ranges(0, pl.Series(lengths))).explode("_n").drop("_n")
    return pl.concat([repeated, entries], how="horizontal").with_columns(
        measure=pl.lit(measure, MEASURE)
    )


_KINDS: dict[str, pl.DataType] = {
    **dict.fromkeys(KEYS, pl.String()),
    "generation_seconds": pl.Float64(),
}
"""As a driver gives it; all else is a whole number."""


def _stored(name: str) -> str:
    return "started_us" if name == "started_at" else name.replace("_usd", "_picousd")


def _declared(name: str) -> pl.Expr:
    if name.endswith("_usd"):
        return usd(name)
    return pl.col(name).cast(ROLLUPS[name])
