"""Every stored call as a polars frame, of which SQL reads only what the query needs."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import polars as pl
from polars.io.plugins import register_io_source

from tachograph.analytics.periods import When, instant
from tachograph.analytics.pushdown import pushed
from tachograph.analytics.schema import CALLS, declared, stored_frame, stored_names
from tachograph.store import queries, reading
from tachograph.store.schema import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger("tachograph")

FLUSH_SECONDS = 5.0
"""How long a query waits for a recorder to store what it has recorded."""


@runtime_checkable
class Recording(Protocol):
    """A recorder, as far as a frame needs it."""

    @property
    def url(self) -> Any: ...

    def flush(self, timeout: float) -> bool: ...


Source = str | reading.Engine | Recording
"""Where calls are read from: a database URL, a SQLAlchemy engine, or a recorder."""


def scan_calls(
    source: Source, since: When | None = None, until: When | None = None
) -> pl.LazyFrame:
    """All calls that began in [since, until), one row each, as a LazyFrame with the schema CALLS.

    Nothing is read before it is collected; then columns, filters and `head` go to SQL. A recorder
    as source is flushed first, so that the frame has what was recorded until then. `since` and
    `until` may be datetimes with a zone, dates (midnight UTC), or text such as "7d" and
    "2026-11-01". The order of the rows is not promised.
    """
    return register_io_source(
        _scan(source, since, until), schema=CALLS, validate_schema=True, explain_name="calls"
    )


def read_calls(
    source: Source, since: When | None = None, until: When | None = None
) -> pl.DataFrame:
    """All calls that began in [since, until), in the order in which they began."""
    return scan_calls(source, since, until).sort("id").collect()


def call_batches(
    source: Source, since: When | None = None, until: When | None = None
) -> Iterator[pl.DataFrame]:
    """All calls that began in [since, until), in that order, some thousand at a time."""
    names = list(CALLS)
    period = _scan(source, since, until).period()
    statement = queries.select_calls(stored_names(names), period, oldest_first=True)
    yield from _read(source, statement, names)


def latest(source: Source, n: int = 20, columns: Sequence[str] = tuple(CALLS)) -> pl.DataFrame:
    """The last n calls, the newest first; SQL reads no others."""
    names = list(columns)
    statement = queries.select_calls(stored_names(names), limit=n, newest_first=True)
    return pl.concat([CALLS.to_frame().select(names), *_read(source, statement, names)])


def read_operation(source: Source, operation_id: str) -> pl.DataFrame:
    """All calls of one operation, in the order in which they began."""
    stored_id = queries.uuid_text(operation_id)
    if stored_id is None:
        raise ValueError(f"{operation_id!r} is no id of an operation")
    names = list(CALLS)
    statement = queries.select_calls(stored_names(names), [queries.of_operation(stored_id)])
    return pl.concat([CALLS.to_frame(), *_read(source, statement, names)]).sort("id")


def count_calls(
    source: Source, since: When | None = None, until: When | None = None, *, at_most: int
) -> int:
    """How many calls began in [since, until), without counting further than `at_most`."""
    statement = queries.count_calls(_scan(source, since, until).period(), at_most)
    ((count,),) = next(iter(reading.column_chunks(database(source), statement)))
    return int(count)


def explain_sql(frame: pl.LazyFrame) -> list[str]:
    """The SQL that collecting this frame would send, one statement for each scan of calls in it.

    These statements are not run; whatever else is in the frame is.
    """
    explanation = _Explanation()
    token = _asked.set(explanation)
    try:
        # the copy has other scans, which tell instead of reading: no other query meets them
        pl.LazyFrame.deserialize(frame.serialize()).collect()
    finally:
        _asked.reset(token)
    return explanation.sql


@dataclass(frozen=True)
class _Scan:
    """What polars calls to read calls, with what the query needs of them."""

    source: Source
    since: datetime | None
    until: datetime | None

    def __call__(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        columns, names = _columns(with_columns, predicate)
        for frame in _read(self.source, self.statement(names, predicate, n_rows), names):
            kept = (frame if predicate is None else frame.filter(predicate)).select(columns)
            if n_rows is None:
                yield kept
                continue
            yield kept.head(n_rows)
            n_rows -= min(n_rows, len(kept))
            if n_rows == 0:
                return

    def statement(
        self, names: list[str], predicate: pl.Expr | None, n_rows: int | None
    ) -> queries.Statement:
        """The select that brings these columns of every row that the query may need."""
        where = self.period()
        found = None if predicate is None else pushed(predicate)
        if found is not None:
            where.append(found.condition)
        limit = n_rows if predicate is None else None
        return queries.select_calls(stored_names(names), where, limit=limit)

    def period(self) -> list[queries.Condition]:
        """The conditions that the call began in [since, until)."""
        bounds = ((">=", self.since), ("<", self.until))
        return [
            queries.compare("started_at", op, microseconds(bound))
            for op, bound in bounds
            if bound is not None
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        explanation = _asked.get()
        if explanation is None:
            return _Scan, (self.source, self.since, self.until)
        explanation.scans.append(self)
        return _explained, (len(explanation.scans) - 1,)


def _scan(source: Source, since: When | None, until: When | None) -> _Scan:
    now = datetime.now(UTC)
    return _Scan(
        source,
        None if since is None else instant(since, now=now),
        None if until is None else instant(until, now=now),
    )


def _columns(
    with_columns: list[str] | None, predicate: pl.Expr | None
) -> tuple[list[str], list[str]]:
    """The columns that the query wants, and with them those that the predicate looks at."""
    columns = list(CALLS) if with_columns is None else with_columns
    looked_at = [] if predicate is None else predicate.meta.root_names()
    return columns, list(dict.fromkeys([*columns, *looked_at]))


def _read(source: Source, statement: queries.Statement, names: list[str]) -> Iterator[pl.DataFrame]:
    for columns in reading.column_chunks(database(source), statement):
        yield declared(stored_frame(stored_names(names), columns), names)


def database(source: Source) -> Any:
    """The URL or engine to read from, after a recorder has stored what it has."""
    if not isinstance(source, Recording):
        return source
    if not source.flush(FLUSH_SECONDS):
        logger.warning("calls still wait to be stored, and this frame does not have them")
    return source.url


@dataclass
class _Explanation:
    """The scans of a query that is explained, and the SQL that they would send."""

    scans: list[_Scan] = field(default_factory=list)
    sql: list[str] = field(default_factory=list)


_asked: ContextVar[_Explanation | None] = ContextVar("tachograph_explanation", default=None)


def _explained(index: int) -> _Telling:
    explanation = _asked.get()
    if explanation is None:
        raise RuntimeError("the copy of a query that is explained has no life of its own")
    return _Telling(explanation.scans[index], explanation.sql)


@dataclass(frozen=True)
class _Telling:
    """Stands where a scan stood, and writes down what it would have sent."""

    scan: _Scan
    sql: list[str]

    def __call__(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        columns, names = _columns(with_columns, predicate)
        statement = self.scan.statement(names, predicate, n_rows)
        self.sql.append(reading.compiled(database(self.scan.source), statement))
        yield CALLS.to_frame().select(columns)
