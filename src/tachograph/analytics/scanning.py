"""What polars calls to read calls: columns, filters and `head` become SQL.

`explain_sql` tells that SQL without running it: it has polars make a copy of the query, in which
another thing stands where each scan stood.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.analytics.archived import Both
from tachograph.analytics.periods import When, bounds
from tachograph.analytics.pushdown import pushed
from tachograph.analytics.schema import (
    CALLS,
    arrow_frame,
    declared,
    stored_frame,
    stored_names,
)
from tachograph.analytics.sources import Source, database
from tachograph.core.units import microseconds
from tachograph.store import queries, reading
from tachograph.store.arrow_reading import arrow_streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph.analytics.lazy_frames import Wanted


@dataclass
class _Explanation:
    """The scans of a query that is explained, and the SQL that they would send."""

    scans: list[Scan] = field(default_factory=list)
    sql: list[str] = field(default_factory=list)


_asked: ContextVar[_Explanation | None] = ContextVar("tachograph_explanation", default=None)


@dataclass(frozen=True)
class Scan:
    """Reads the calls of a period out of SQL."""

    source: Source
    since: datetime | None
    until: datetime | None

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        read_rows = read_many if wanted.limit is None else read
        return read_rows(self.source, self.statement(wanted), wanted.needed)

    def statement(self, wanted: Wanted) -> queries.Statement:
        """The select that brings what is needed of every row that the query may want."""
        where = self.period()
        found = None if wanted.predicate is None else pushed(wanted.predicate)
        if found is not None:
            where.append(found.condition)
        return queries.select_calls(stored_names(wanted.needed), where, limit=wanted.limit)

    def period(self) -> list[queries.Condition]:
        """The conditions that the call began in [since, until)."""
        bounds = ((">=", self.since), ("<", self.until))
        return [
            queries.compare("started_at", op, microseconds(bound))
            for op, bound in bounds
            if bound is not None
        ]

    def between(self, since: datetime | None, until: datetime | None) -> Scan:
        """The same scan of another period."""
        return replace(self, since=since, until=until)

    def __reduce__(self) -> tuple[Any, ...]:
        explanation = _asked.get()
        if explanation is None:
            return Scan, (self.source, self.since, self.until)
        explanation.scans.append(self)
        return _explained, (len(explanation.scans) - 1,)


def scan_of(
    source: Source, since: When | None, until: When | None, archive: Path | str | None = None
) -> Scan | Both:
    """A scan of the calls of a period, in any of its forms; with an archive, of those there too."""
    scan = sql_scan_of(source, since, until)
    return scan if archive is None else Both(scan, Path(archive))


def sql_scan_of(source: Source, since: When | None, until: When | None) -> Scan:
    """A scan of the calls of a period that are in SQL."""
    return Scan(source, *bounds(since, until, now=datetime.now(UTC)))


def read(source: Source, statement: queries.Statement, names: list[str]) -> Iterator[pl.DataFrame]:
    """The rows in the order that the statement asks for, through Python's own driver."""
    for columns in reading.column_chunks(database(source), statement):
        yield declared(stored_frame(stored_names(names), columns), names)


def read_many(
    source: Source, statement: queries.Statement, names: list[str]
) -> Iterator[pl.DataFrame]:
    """The rows in no order, in the quickest way that there is for so many."""
    target = database(source)
    with arrow_streams(target, statement) as streams:
        if streams is None:
            yield from read(target, statement, names)
            return
        for stream in streams:
            yield declared(arrow_frame(stream), names)


def explain_sql(frame: pl.LazyFrame) -> list[str]:
    """The SQL that collecting this frame would send, one statement for each scan of calls in it.

    These statements are not run; whatever else is in the frame is.
    """
    if not isinstance(frame, pl.LazyFrame):
        raise TypeError(f"only a LazyFrame sends SQL, not a {type(frame).__name__}")
    explanation = _Explanation()
    token = _asked.set(explanation)
    try:
        # the copy has other scans, which tell instead of reading: no other query meets them
        pl.LazyFrame.deserialize(frame.serialize()).collect()
    finally:
        _asked.reset(token)
    return explanation.sql


def _explained(index: int) -> _Telling:
    explanation = _asked.get()
    if explanation is None:
        raise RuntimeError("the copy of a query that is explained has no life of its own")
    return _Telling(explanation.scans[index], explanation.sql)


@dataclass(frozen=True)
class _Telling:
    """Stands where a scan stood, and writes down what it would have sent."""

    scan: Scan
    sql: list[str]

    @property
    def since(self) -> datetime | None:
        return self.scan.since

    @property
    def until(self) -> datetime | None:
        return self.scan.until

    def between(self, since: datetime | None, until: datetime | None) -> _Telling:
        return _Telling(self.scan.between(since, until), self.sql)

    def __call__(self, wanted: Wanted) -> Iterator[pl.DataFrame]:
        statement = self.scan.statement(wanted)
        self.sql.append(reading.compiled(database(self.scan.source), statement))
        yield CALLS.to_frame()
