"""Sums of calls by hour and by day: which hours have to be rolled up, and where the sums stand.

Hours before `rolled_until_us` are rolled up again only where a note says that a call was added or
changed (`store/rollup_triggers.py`); all hours from there on each time. An hour of which calls
were archived or deleted is a gap: what stands of it stays, until somebody brings all its calls.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.errors import StoreError
from tachograph.store.database import failure, write_transaction
from tachograph.store.rollup_triggers import ADVISORY_LOCK, HOUR_US
from tachograph.store.schema import calls, rollup_changes, rollup_gaps, rollup_progress, rollups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy.engine import Connection, Engine

DAY_US = 24 * HOUR_US
COLUMNS = tuple(column.name for column in rollups.columns)
"""Of a row of rollups, in order; the last is the number of the run that made it."""

Row = tuple[Any, ...]

# without the types that want datetime and Decimal
_ROLLUPS = sa.table("rollups", *(sa.column(name) for name in COLUMNS))
_PROGRESS = sa.table(
    "rollup_progress", *(sa.column(column.name) for column in rollup_progress.columns)
)
_HOUR = sa.type_coerce(rollup_changes.c.hour_us, sa.BigInteger)
_GAP = sa.type_coerce(rollup_gaps.c.hour_us, sa.BigInteger)


@dataclass(frozen=True)
class Run:
    """One rolling up of a database: what it found to do."""

    number: int
    rolled_until_us: int
    """All before is rolled up."""
    changes: dict[int, list[int]]
    """The hours before that changed since, and the notes that say so."""
    gaps: frozenset[int]
    """Hours of which calls are no longer in this database."""


def begin(engine: Engine, watched_until_us: int) -> Run:
    """A new run; any other that is under way can store nothing from now on.

    From here on, whatever changes before `watched_until_us` leaves a note. StoreError when the
    database fails.
    """
    try:
        with write_transaction(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
            watched = _PROGRESS.c.watched_until_us
            connection.execute(
                sa.update(_PROGRESS).values(
                    run=_PROGRESS.c.run + 1,
                    watched_until_us=sa.case(
                        (watched < watched_until_us, watched_until_us), else_=watched
                    ),
                )
            )
        with write_transaction(engine) as connection:
            progress = connection.execute(sa.select(_PROGRESS)).one()
            gaps = frozenset(connection.execute(sa.select(_GAP)).scalars())
            noted = _read_changes(connection)
            missed = [g for g in gaps if g >= progress.rolled_until_us and g not in noted]
            _note_gaps(connection, missed)
            changes = _read_changes(connection) if missed else noted
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return Run(progress.run, progress.rolled_until_us, changes, gaps)


def next_call_us(engine: Engine, from_us: int) -> int | None:
    """When the first call began that began then or later; None when there is none."""
    query = (
        sa.select(sa.type_coerce(calls.c.started_us, sa.BigInteger))
        .where(calls.c.id >= uuid7_floor(from_us))
        .order_by(calls.c.id)
        .limit(1)
    )
    try:
        with engine.connect() as connection:
            return connection.execute(query).scalar()
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def replace(
    engine: Engine, run: Run, day_us: int, hours: Collection[int], rows: Iterable[Row]
) -> None:
    """These rows instead of those of these hours and of their day, and their notes are done with.

    `rows` holds what the hours have, and the whole day anew. All before the end of the last of
    the hours counts as rolled up from here on. StoreError when another run has begun.
    """
    notes = [id_ for hour in hours for id_ in run.changes.get(hour, ())]
    until_us = max(hours) + HOUR_US
    try:
        with write_transaction(engine) as connection:
            _still(connection, run)
            of_hours = sa.and_(_ROLLUPS.c.hours == 1, _ROLLUPS.c.started_us.in_(sorted(hours)))
            of_day = sa.and_(_ROLLUPS.c.hours == 24, _ROLLUPS.c.started_us == day_us)
            connection.execute(sa.delete(_ROLLUPS).where(sa.or_(of_hours, of_day)))
            if values := [dict(zip(COLUMNS, (*row, run.number), strict=True)) for row in rows]:
                connection.execute(sa.insert(_ROLLUPS), values)
            for start in range(0, len(notes), 500):
                some = rollup_changes.c.id.in_(notes[start : start + 500])
                connection.execute(sa.delete(rollup_changes).where(some))
            _advance(connection, until_us)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def runs_of_days(engine: Engine) -> dict[int, int]:
    """The days that are rolled up, and the run in which each was last."""
    query = (
        sa.select(_ROLLUPS.c.started_us, sa.func.max(_ROLLUPS.c.run))
        .where(_ROLLUPS.c.hours == 24)
        .group_by(_ROLLUPS.c.started_us)
    )
    try:
        with engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def finish(engine: Engine, run: Run, until_us: int) -> None:
    """All before this instant is rolled up. StoreError when another run has begun."""
    try:
        with write_transaction(engine) as connection:
            _still(connection, run)
            _advance(connection, until_us)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def note_gaps(engine: Engine, hours: Sequence[int]) -> None:
    """Hours of which calls turned out to be gone, without anything that told so."""
    try:
        with write_transaction(engine) as connection:
            known = set(connection.execute(sa.select(_GAP)).scalars())
            new = [{"hour_us": hour} for hour in hours if hour not in known]
            if new:
                connection.execute(sa.insert(sa.table("rollup_gaps", sa.column("hour_us"))), new)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def select_rollups(names: Sequence[str], where: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """These columns of the rows for which every condition holds, in the form that is stored."""
    return sa.select(*(_ROLLUPS.c[name] for name in names)).where(*where)


def between(
    hours: int, since_us: int | None = None, until_us: int | None = None
) -> sa.ColumnElement[bool]:
    """The rows of so many hours that begin in [since, until)."""
    bounds = [_ROLLUPS.c.hours == hours]
    if since_us is not None:
        bounds.append(_ROLLUPS.c.started_us >= since_us)
    if until_us is not None:
        bounds.append(_ROLLUPS.c.started_us < until_us)
    return sa.and_(*bounds)


def any_of(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """Where one of the conditions holds."""
    return sa.or_(*conditions)


def _still(connection: Connection, run: Run) -> None:
    query = sa.select(_PROGRESS.c.run).with_for_update()
    if connection.execute(query).scalar() != run.number:
        raise StoreError("another run rolls up this database; it does what this one left")


def _advance(connection: Connection, until_us: int) -> None:
    """Never beyond what is watched: what is not must be looked at each time."""
    rolled, watched = _PROGRESS.c.rolled_until_us, _PROGRESS.c.watched_until_us
    reached = sa.case((watched < until_us, watched), else_=sa.literal(until_us, sa.BigInteger))
    connection.execute(sa.update(_PROGRESS).where(rolled < reached).values(rolled_until_us=reached))


def _read_changes(connection: Connection) -> dict[int, list[int]]:
    changes = defaultdict(list)
    for id_, hour in connection.execute(sa.select(rollup_changes.c.id, _HOUR)):
        changes[hour].append(id_)
    return dict(changes)


def _note_gaps(connection: Connection, hours: Sequence[int]) -> None:
    """Gaps that no run has seen: with their calls brought, there is something to do."""
    if hours:
        table = sa.table("rollup_changes", sa.column("hour_us"))
        connection.execute(sa.insert(table), [{"hour_us": hour} for hour in hours])
