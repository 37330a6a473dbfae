"""Sums and histograms of calls by hour or by day as a polars frame, for reports of long periods.

The reports take such a frame as they take one of calls, as far as it knows their keys: model,
provider, outcome, name and time. It comes from a database that `tachograph rollup` keeps, or from
a folder of Parquet files that it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.periods import When
from tachograph.analytics.rollups.current import CurrentScan
from tachograph.analytics.rollups.places import period_of
from tachograph.analytics.rollups.reading import Asked, Span, asked, read_rows, shaped
from tachograph.analytics.rollups.schema import ROLLUPS, WHOLE_DAY
from tachograph.analytics.schema import INSTANT
from tachograph.analytics.sources import Source, database
from tachograph.errors import StoreError
from tachograph.store import reading, rollups
from tachograph.store.rollup_triggers import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Every = Literal["hour", "day"]


def scan_rollups(
    source: Source | Path,
    since: When | None = None,
    until: When | None = None,
    *,
    every: Every = "hour",
    current: bool = False,
) -> pl.LazyFrame:
    """Rollups of the hours that lie in [since, until), as a LazyFrame with the schema ROLLUPS.

    An hour in which the period begins or ends counts as a whole. `every="day"` takes whole days
    from their own rows, of which there are fewer, and says so in a column `whole_day`; the rest of
    the period is in hours. `source` is a database, as for `scan_calls`, or the path of the folder
    that `tachograph rollup --to` wrote. It has what was recorded before the last of these runs.

    `current=True` has of a database what `scan_calls` has now, to the microsecond of `since` and
    `until`: of hours that no run has seen as they are, the calls are read and added up. Calls
    that are no longer in the database do not count.
    """
    period = period_of(since, until, whole_days=every == "day")
    schema = pl.Schema(ROLLUPS | {WHOLE_DAY: pl.Boolean()}) if every == "day" else ROLLUPS
    if current and not isinstance(source, Path):
        return lazy_frame(CurrentScan(source, period, schema), schema, name="rollups")
    if current:
        raise ValueError(f"only a database has calls beside its rollups, {source} has none")
    first, last = period.since_us, period.until_us
    spans = _spans(None if first is None else first // HOUR_US * HOUR_US, last, every)
    if isinstance(source, Path):
        return _scan_folder(source, spans, every)
    return lazy_frame(_Scan(source, spans, schema), schema, name="rollups")


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
        schema = pl.Schema({name: self.schema[name] for name in wanted.needed})
        look = asked(wanted)
        for rows in reading.in_one_state(
            database(self.source), lambda connection: read_rows(connection, self.spans, look)
        ):
            yield shaped(rows, schema)


def stored_rollups(url: str, span: Span) -> pl.DataFrame:
    """Rollups as they stand in a database."""
    parts = reading.in_one_state(url, lambda connection: read_rows(connection, [span], Asked()))
    return pl.concat([ROLLUPS.to_frame(), *(shaped(rows, ROLLUPS) for rows in parts)])


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
