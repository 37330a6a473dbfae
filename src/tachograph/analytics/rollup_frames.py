"""Sums and histograms of calls by hour or by day as a polars frame, for reports of long periods.

The reports take such a frame as they take one of calls, as far as it knows their keys: model,
provider, outcome, name and time. It comes from a database that `tachograph rollup` keeps, or from
a folder of Parquet files that it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from tachograph.analytics import histogram
from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.periods import When, instant
from tachograph.analytics.schema import INSTANT, MONEY
from tachograph.analytics.sources import Source, database
from tachograph.analytics.tallies import MEASURE, MEASURES
from tachograph.core.units import PICO, microseconds
from tachograph.errors import StoreError
from tachograph.store import reading, rollups
from tachograph.store.rollup_triggers import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Every = Literal["hour", "day"]

KEYS = ("model", "provider", "outcome", "name")
SUMMED: dict[str, pl.DataType] = {
    "calls": pl.Int64(),
    "calls_without_cost": pl.Int64(),
    "input_tokens": pl.Int64(),
    "output_tokens": pl.Int64(),
    "cache_read_input_tokens": pl.Int64(),
    "reasoning_output_tokens": pl.Int64(),
    "billed_usd": MONEY,
    "computed_usd": MONEY,
    "spent_usd": MONEY,
    "generated_tokens": pl.Int64(),
    "generation_seconds": pl.Float64(),
}
ROLLUPS = pl.Schema(
    {
        "started_at": INSTANT,
        "model": pl.Categorical(),
        "provider": pl.Categorical(),
        "outcome": pl.Categorical(),
        "name": pl.Categorical(),
        "measure": MEASURE,
        "bucket": pl.Int16(),
        "count": pl.Int64(),
    }
    | SUMMED
)
"""Every column of a frame of rollups, in order.

A row has either sums, and a null `measure`, or how many values of a `measure` (`latency`,
`first_token`: of completed calls that no cache answered) are in a `bucket` of 1 %. `started_at` is
the beginning of the hour. Rows may be added up as one likes.
"""

WHOLE_DAY = "whole_day"
"""A further column where whole days were asked for: their `started_at` tells no hour."""


def scan_rollups(
    source: Source | Path,
    since: When | None = None,
    until: When | None = None,
    *,
    every: Every = "hour",
) -> pl.LazyFrame:
    """Rollups of the hours that lie in [since, until), as a LazyFrame with the schema ROLLUPS.

    An hour in which the period begins or ends counts as a whole. `every="day"` takes whole days
    from their own rows, of which there are fewer, and says so in a column `whole_day`; the rest of
    the period is in hours. `source` is a database, as for `scan_calls`, or the path of the folder
    that `tachograph rollup --to` wrote. It has what was recorded before the last of these runs.
    """
    now = datetime.now(UTC)
    first, last = (None if w is None else microseconds(instant(w, now=now)) for w in (since, until))
    first = None if first is None else first // HOUR_US * HOUR_US
    spans = _spans(first, last, every)
    if isinstance(source, Path):
        return _scan_folder(source, spans, every)
    schema = pl.Schema(ROLLUPS | {WHOLE_DAY: pl.Boolean()}) if every == "day" else ROLLUPS
    return lazy_frame(_Scan(source, spans, schema), schema, name="rollups")


@dataclass(frozen=True)
class Span:
    """Rows of so many hours that begin in [since, until), in microseconds; None: no bound."""

    hours: int
    since_us: int | None
    until_us: int | None


def _spans(since: int | None, until: int | None, every: Every) -> list[Span]:
    if every == "hour":
        return [Span(1, since, until)]
    first = None if since is None else -(-since // rollups.DAY_US) * rollups.DAY_US
    last = None if until is None else until // rollups.DAY_US * rollups.DAY_US
    if first is not None and last is not None and first >= last:
        return [Span(1, since, until)]
    spans = [Span(24, first, last)]
    if since != first:
        spans.append(Span(1, since, first))
    if until != last:
        spans.append(Span(1, last, until))
    return spans


@dataclass(frozen=True)
class _Scan:
    """Reads rollups out of a database."""

    source: Source
    spans: list[Span]
    schema: pl.Schema

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        needed = set(wanted.needed)
        sums, buckets = _kinds_wanted(wanted.predicate)
        for part in read_rows(self.source, self.spans, needed, sums=sums, buckets=buckets):
            rows = part.with_columns(pl.col("hours").eq(24).alias(WHOLE_DAY))
            yield rows.select(
                pl.col(name) if name in rows.columns else pl.lit(None, kind).alias(name)
                for name, kind in self.schema.items()
                if name in needed
            )


def _kinds_wanted(predicate: pl.Expr | None) -> tuple[bool, bool]:
    """Whether rows of sums, and rows of buckets, can pass: a plain question for one of them."""
    parts = [] if predicate is None else [predicate]
    sums = buckets = True
    while parts:
        part = parts.pop()
        inner = part.meta.pop()
        if len(inner) == 2 and part.meta.eq(inner[1] & inner[0]):
            parts += inner
        elif part.meta.eq(pl.col("measure").is_null()):
            buckets = False
        elif part.meta.eq(pl.col("measure").is_not_null()):
            sums = False
    return sums, buckets


def read_rows(
    source: Source,
    spans: Sequence[Span],
    needed: set[str],
    *,
    sums: bool = True,
    buckets: bool = True,
) -> Iterator[pl.DataFrame]:
    """These rows of a database with the columns that are needed, and `hours`."""
    keys = [name for name in ("started_at", *KEYS) if name in needed]
    summed = [name for name in SUMMED if name in needed] if sums else []
    measures = MEASURES if buckets and needed & {"measure", "bucket", "count"} else ()
    names = ["hours", *keys, *summed]
    stored = [_stored(name) for name in names] + [f"{measure}_histogram" for measure in measures]
    where = [rollups.between(span.hours, span.since_us, span.until_us) for span in spans]
    statement = rollups.select_rollups(stored, [rollups.any_of(where)])
    for columns in reading.column_chunks(database(source), statement):
        kinds = {name: _KINDS.get(name, pl.Int64()) for name in names}
        rows = pl.DataFrame(
            [
                pl.Series(name, values, dtype=kinds[name])
                for name, values in zip(names, columns, strict=False)
            ]
        ).with_columns(_declared(name) for name in names)
        if sums:
            yield rows
        of_rows = rows.select("hours", *keys)
        for measure, blobs in zip(measures, columns[len(names) :], strict=True):
            yield _bucket_rows(of_rows, measure, blobs)


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
    "model": pl.String(),
    "provider": pl.String(),
    "outcome": pl.String(),
    "name": pl.String(),
    "generation_seconds": pl.Float64(),
}
"""As a driver gives it; all else is a whole number."""


def _stored(name: str) -> str:
    return "started_us" if name == "started_at" else name.replace("_usd", "_picousd")


def _declared(name: str) -> pl.Expr:
    if name.endswith("_usd"):
        return (pl.col(name).cast(pl.Decimal(38, 0)) * pl.lit(PICO)).alias(name)
    return pl.col(name).cast(ROLLUPS[name]) if name in ROLLUPS else pl.col(name).cast(pl.Int16)


def _scan_folder(folder: Path, spans: Sequence[Span], every: Every) -> pl.LazyFrame:
    if not folder.is_dir():
        raise StoreError(f"there are no rollups in {folder}: `tachograph rollup --to` writes them")
    parts = [_scan_files(folder, span) for span in spans]
    if every == "day":
        parts = [
            part.with_columns(pl.lit(span.hours == 24).alias(WHOLE_DAY))
            for span, part in zip(spans, parts, strict=True)
        ]
    return pl.concat(parts)


def _scan_files(folder: Path, span: Span) -> pl.LazyFrame:
    files = sorted((folder / ("days" if span.hours == 24 else "hours")).glob("*.parquet"))
    if not files:
        return ROLLUPS.to_frame().lazy()
    frame = pl.scan_parquet(files, schema=ROLLUPS)
    bounds = [
        (pl.col("started_at").ge, span.since_us),
        (pl.col("started_at").lt, span.until_us),
    ]
    return frame.filter(
        *(test(pl.lit(at, pl.Int64).cast(INSTANT)) for test, at in bounds if at is not None)
    )
