"""Calls in SQL and in an archive read as one, each once, whatever moves between them meanwhile.

A call that leaves SQL is in a file before, so SQL is read first and the files after it. Up to the
end of the last archived day SQL is read without the query's filter: what is there wins over the
files, since a call may have been reconciled after it was archived, and only the ids tell which
of the files' rows these are. Normally SQL has none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import polars as pl

from tachograph.analytics.day_files import (
    ONE_DAY,
    days_in,
    midnight,
    opened,
    scan_files,
    size_of,
)
from tachograph.analytics.lazy_frames import Wanted
from tachograph.analytics.schema import CALLS
from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime
    from pathlib import Path

FILES_AT_ONCE = 64
"""Days that are read together, at most; a process may have some hundred files open."""
BYTES_AT_ONCE = 32_000_000
"""The same in bytes: polars has all that is read together in memory, and large days one by one
take no longer."""


class Scanning(Protocol):
    """A scan of the calls in SQL."""

    @property
    def since(self) -> datetime | None: ...

    @property
    def until(self) -> datetime | None: ...

    def between(self, since: datetime | None, until: datetime | None) -> Scanning:
        """The same of another period."""

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]: ...


@dataclass(frozen=True)
class Both:
    """Reads calls from SQL and from an archive."""

    scan: Scanning
    archive: Path

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        since, until = self.scan.since, self.scan.until
        while True:
            end = self._end()
            newer = self.scan.between(_later(since, end), until)(wanted)
            # the first frame shows that SQL's rows are fixed; a day that was archived before may
            # have been deleted by then
            first = next(newer, None)
            if self._end() == end:
                break
        if first is not None:
            yield first
        yield from newer
        if end is None:
            return
        names = list(dict.fromkeys(["id", *wanted.needed]))
        older = self.scan.between(since, end if until is None else min(until, end))
        seen = [CALLS.to_frame().select("id")]
        for frame in older(Wanted(names)):
            seen.append(frame.select("id"))
            yield frame
        yield from self._filed(end, pl.concat(seen), wanted)

    def _end(self) -> datetime | None:
        """The end of the last archived day."""
        days = days_in(self.archive)
        return midnight(days[-1]) + ONE_DAY if days else None

    def _filed(self, end: datetime, seen: pl.DataFrame, wanted: Wanted) -> Iterator[pl.DataFrame]:
        """The rows of the files, of days before `end`, but those that SQL had as well."""
        days = [day for day in days_in(self.archive) if self._wanted(day, end)]
        for together in self._together(days):
            with opened(self.archive, together) as files:
                if not files:
                    continue
                calls = scan_files(files)
                for bound, after in ((self.scan.since, True), (self.scan.until, False)):
                    if bound is not None:
                        began = pl.col("started_at")
                        calls = calls.filter(began >= bound if after else began < bound)
                if wanted.predicate is not None:
                    calls = calls.filter(wanted.predicate)
                if len(seen):
                    calls = calls.join(seen.lazy(), on="id", how="anti")
                calls = calls.select(wanted.needed)
                if wanted.n_rows is not None:
                    calls = calls.head(wanted.n_rows)
                yield from calls.collect_batches(maintain_order=False, lazy=True)

    def _together(self, days: list[date]) -> Iterator[list[date]]:
        """The days, so many at a time as may be read at once."""
        together: list[date] = []
        size = 0
        for day in days:
            of_day = size_of(self.archive, day)
            if together and (len(together) == FILES_AT_ONCE or size + of_day > BYTES_AT_ONCE):
                yield together
                together, size = [], 0
            together.append(day)
            size += of_day
        if together:
            yield together

    def _wanted(self, day: date, end: datetime) -> bool:
        since, until = self.scan.since, self.scan.until
        begins = midnight(day)
        return (
            begins < end
            and (since is None or begins + ONE_DAY > since)
            and (until is None or begins < until)
        )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


def with_filed(latest: pl.DataFrame, archive: Path, n: int) -> pl.DataFrame:
    """The n newest calls, the newest first, where `latest` are the n newest of SQL, read before.

    Both have a column `id`, and files are read for the columns of `latest`.
    """
    found = latest
    for day in reversed(days_in(archive)):
        first = str(UUID(bytes=uuid7_floor(microseconds(midnight(day) + ONE_DAY))))
        if len(found) == n and found["id"][-1] >= first:
            break
        with opened(archive, [day]) as files:
            filed = [scan_files([file]).select(latest.columns).top_k(n, by="id") for file in files]
            rows = [frame.collect() for frame in filed]
        found = pl.concat([found, *rows]).unique("id", keep="first", maintain_order=True)
        found = found.sort("id", descending=True).head(n)
    return found
