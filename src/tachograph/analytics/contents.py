"""What was kept of prompts and answers, as a frame of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.periods import When, bounds
from tachograph.analytics.sources import Source, database
from tachograph.core.units import microseconds
from tachograph.store.contents import select_contents
from tachograph.store.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENTS = pl.Schema(
    {
        "call_id": pl.String(),
        "request": pl.String(),
        "answer": pl.String(),
        "redacted": pl.String(),
    }
)
"""The columns of a frame of contents: the call's `id`, and three columns of JSON."""

CHUNK_ROWS = 100


def scan_content(
    source: Source, since: When | None = None, until: When | None = None
) -> pl.LazyFrame:
    """What was kept of the calls that began in [since, until), one row each; most calls have none.

    Nothing is read before it is collected. `request` and `answer` are JSON; `redacted` is a JSON
    object that says what was left out, and how often. Join it to calls by `id`.
    """
    period = bounds(since, until, now=datetime.now(UTC))
    since_us, until_us = (None if bound is None else microseconds(bound) for bound in period)
    return lazy_frame(_Scan(source, since_us, until_us), CONTENTS, name="contents")


@dataclass(frozen=True)
class _Scan:
    source: Source
    since_us: int | None
    until_us: int | None

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        query = select_contents(self.since_us, self.until_us)
        if wanted.limit is not None:
            query = query.limit(wanted.limit)
        with reading(database(self.source)) as engine, engine.connect() as connection:
            rows = connection.execution_options(stream_results=True).execute(query)
            for chunk in rows.partitions(CHUNK_ROWS):
                told = [(str(UUID(bytes=row[0])), *row[1:]) for row in chunk]
                yield pl.DataFrame(told, schema=CONTENTS, orient="row")
