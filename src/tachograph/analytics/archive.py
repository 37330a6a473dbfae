"""Closed days moved from SQL into Parquet files, so that each call is in one of them at any moment.

A day is written to a new file, together with what its file had before; the file is read back, gets
its name, and only then do its calls leave SQL, each after it was found unchanged in the file. What
came or changed meanwhile stays, and the day is done again. So it may be broken off anywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl
from polars.io.plugins import register_io_source

from tachograph.analytics.day_files import (
    COMPRESSION_LEVEL,
    FILE,
    ONE_DAY,
    ROW_GROUP_ROWS,
    STORED,
    as_filed,
    locked,
    midnight,
    opened,
    path_of,
    refuse_newer,
    replacing,
    scan_files,
    size_of,
)
from tachograph.analytics.frames import count_calls, read_calls
from tachograph.analytics.periods import When, instant
from tachograph.analytics.schema import MONEY, declared, stored_frame
from tachograph.errors import StoreError
from tachograph.store.bills import LONGEST_JOB_US
from tachograph.store.leaving import Leaving, days_with_calls
from tachograph.store.purge import count_before
from tachograph.store.writing import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

OPEN = timedelta(microseconds=LONGEST_JOB_US)
"""How long after its end a day stays in SQL: so long a job's cost is looked for there."""

MANY = 25_000
"""A day of as many calls is taken in parts, so that not all of it is in memory."""
SHORTEST = timedelta(seconds=1)
"""A part of a day that is so short is not divided further."""

LOOKED_AT = 10_000
"""So many calls are compared at a time before they are deleted."""

ATTEMPTS = 5
"""How often a day is written when its calls change meanwhile; what still comes waits for the
next run."""

_MONEY = [name for name, kind in FILE.items() if kind == MONEY]


@dataclass(frozen=True)
class Archived:
    """What a run came to."""

    until: datetime
    """Days before this instant were looked at."""
    days: int
    """So many were written, and the others had nothing new."""
    calls: int
    """So many are in the files that were written."""
    bytes: int
    """The size of these files."""
    deleted: int
    """So many left SQL."""


def archive_calls(
    url: str,
    before: When,
    to: Path | str,
    *,
    keep: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Archived:
    """Moves the days (UTC) that ended before this instant from SQL into Parquet, one file each.

    A day is closed two days after its end; later ones stay, whatever is asked. `keep` leaves the
    calls in SQL as well. Prompts and answers, where they were captured, stay in SQL: `purge
    --content` deletes them. `progress` is told how many more calls are done, and of how many.
    It may be broken off and run again. Calls that come all the time while their day is moved may
    wait for the next run. StoreError when the database or the archive fails, or when another run
    is at work on the archive.
    """
    now = datetime.now(UTC)
    until = min(midnight(instant(before, now=now).date()), midnight((now - OPEN).date()))
    archive = Path(to)
    days = calls = size = deleted = 0
    with writing(url) as engine, locked(archive):
        whole = count_before(engine, until) * (1 if keep else 2)

        def step(done: int) -> None:
            if progress is not None:
                progress(done, whole)

        leaving = Leaving(engine, STORED)
        for day in days_with_calls(engine, until):
            one, written = _Day(url, archive, day), 0
            for _ in range(ATTEMPTS):
                if one.has_news():
                    written = one.write(step)
                if keep:
                    break
                gone, finished = one.delete(leaving, step)
                deleted += gone
                if finished:
                    break
            if written:
                days, calls = days + 1, calls + written
                size += size_of(archive, day)
    return Archived(until, days, calls, size, deleted)


@dataclass(frozen=True)
class _Day:
    """One day, in SQL and in the archive."""

    url: str
    archive: Path
    day: date

    def has_news(self) -> bool:
        """Whether SQL has a call that is not in the file, or is another there."""
        if not path_of(self.archive, self.day).exists():
            return True
        return any(_not_filed(stored, filed) for stored, filed in self._pieces())

    def write(self, step: Callable[[int], object]) -> int:
        """Puts all that is known of the day into a new file; how many calls that is."""
        written = _Sums()

        def pieces(*_: object) -> Iterator[pl.DataFrame]:
            for stored, filed in self._pieces():
                rest = filed.join(stored.select("id"), on="id", how="anti")
                piece = pl.concat([stored, rest]).sort("id")
                written.add(piece)
                step(len(stored))
                yield piece

        path = path_of(self.archive, self.day)
        with replacing(path) as part:
            register_io_source(pieces, schema=FILE).sink_parquet(
                part,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                statistics=True,
                row_group_size=ROW_GROUP_ROWS,
            )
            read = _Sums()
            summed = pl.scan_parquet(part, glob=False).select("id", *_MONEY)
            for piece in _slices(summed, ROW_GROUP_ROWS):
                read.add(piece)
            if read.told() != written.told():
                raise StoreError(f"{path} was not written right: nothing was deleted")
        return written.rows

    def delete(self, leaving: Leaving, step: Callable[[int], object]) -> tuple[int, bool]:
        """Deletes what SQL has of the day, each call if the file has it just so; how many went,
        and whether that was all."""
        deleted = 0
        with opened(self.archive, [self.day]) as files:
            chunks = (chunk for file in files for chunk in _slices(scan_files([file]), LOOKED_AT))
            for chunk in chunks:
                filed = as_filed(chunk)
                rows = leaving.read(*(UUID(filed["id"][n]).bytes for n in (0, -1)))
                if not rows:
                    continue
                columns = list(zip(*rows, strict=True))
                stored = as_filed(declared(stored_frame(STORED, columns), STORED))
                late = _not_filed(stored, filed)
                stays = [id_ in late for id_ in stored["id"]]
                for stay, run in groupby(zip(rows, stays, strict=True), itemgetter(1)):
                    if not stay:
                        deleted += leaving.delete([row for row, _ in run], step)
        # what came meanwhile may also lie before and behind the calls of the file
        return deleted, count_calls(self.url, *self._period(), at_most=1) == 0

    def _pieces(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """The calls of SQL and those of the file, a part of the day at a time."""
        with opened(self.archive, [self.day]) as files:
            refuse_newer(files)
            for begins, ends in self._parts(files, *self._period()):
                stored = as_filed(read_calls(self.url, begins, ends))
                filed = [as_filed(calls.collect()) for calls in _between(files, begins, ends)]
                yield stored, pl.concat([FILE.to_frame(), *filed])

    def _parts(
        self, files: Sequence[IO[bytes]], begins: datetime, ends: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """The period, in parts of which neither SQL nor the file has too many calls."""
        stored = count_calls(self.url, begins, ends, at_most=MANY)
        counts = [calls.select(pl.len()).collect() for calls in _between(files, begins, ends)]
        if max(stored, *(count.item() for count in counts), 0) < MANY or ends - begins <= SHORTEST:
            yield begins, ends
            return
        middle = begins + (ends - begins) / 2
        yield from self._parts(files, begins, middle)
        yield from self._parts(files, middle, ends)

    def _period(self) -> tuple[datetime, datetime]:
        return midnight(self.day), midnight(self.day) + ONE_DAY


@dataclass
class _Sums:
    """What must be the same of what was written and of what is read back."""

    rows: int = 0
    money: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(_MONEY, Decimal(0)))
    ids: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, calls: pl.DataFrame) -> None:
        self.rows += len(calls)
        for name in _MONEY:
            self.money[name] += Decimal(calls[name].sum() or 0)
        self.ids.update("".join(calls["id"]).encode())

    def told(self) -> tuple[int, dict[str, Decimal], str]:
        return self.rows, self.money, self.ids.hexdigest()


def _between(
    files: Sequence[IO[bytes]], begins: datetime, ends: datetime
) -> Iterator[pl.LazyFrame]:
    """The calls of each file that began in [begins, ends)."""
    began = pl.col("started_at")
    for file in files:
        yield scan_files([file]).filter(began >= begins, began < ends)


def _slices(calls: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
    """All rows, so many at a time: `collect_batches` would have most of a file in memory."""
    done = 0
    while len(rows := calls.slice(done, size).collect()):
        yield rows
        done += len(rows)


def _not_filed(stored: pl.DataFrame, filed: pl.DataFrame) -> set[str]:
    """The ids of SQL's calls that the file has not, or not just so."""
    same = filed.join(stored.select("id"), on="id", how="semi").sort("id")
    if same.equals(stored):  # as nearly always: comparing rows takes a lot of memory
        return set()
    return set(stored.join(same, on=STORED, how="anti", nulls_equal=True)["id"])
