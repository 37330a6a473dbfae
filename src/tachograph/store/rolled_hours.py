"""Which hours of calls a database's rollups tell of as the calls are now.

To be asked in the transaction in which the rollups themselves are read, since a run, a writer or
an archive may change both at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tachograph.store.schema import calls, rollup_changes, rollup_gaps, rollup_progress, rollups

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_ROLLED_UNTIL = sa.type_coerce(rollup_progress.c.rolled_until_us, sa.BigInteger)
_STALE = (rollup_changes, rollup_gaps)
_BEGAN = sa.type_coerce(calls.c.started_us, sa.BigInteger)


@dataclass(frozen=True)
class RolledHours:
    """What rollups can be taken for."""

    first_call_us: int
    last_call_us: int
    """What is rolled up outside of these two has lost its calls."""
    rolled_until_us: int
    """All hours before are rolled up, but..."""
    stale: frozenset[int]
    """...these have changed since, or have calls in their rollups that are here no longer."""


def rolled_hours(connection: Connection) -> RolledHours | None:
    """As this connection's transaction sees them; None when there is no call."""
    first = connection.execute(sa.select(_BEGAN).order_by(calls.c.id).limit(1)).scalar()
    last = connection.execute(sa.select(_BEGAN).order_by(calls.c.id.desc()).limit(1)).scalar()
    if first is None or last is None:
        return None
    if not _may_look(connection):
        return RolledHours(first, last, 0, frozenset())
    until: int = connection.execute(sa.select(_ROLLED_UNTIL)).scalar_one()
    stale = connection.execute(sa.union(*(_hours_of(table, until) for table in _STALE))).scalars()
    return RolledHours(first, last, until, frozenset(stale))


def _may_look(connection: Connection) -> bool:
    """Whether this role may read rollups and all that tells of them, and sees every call."""
    if connection.dialect.name != "postgresql":
        return True
    may = [
        sa.func.has_table_privilege(table.name, "SELECT")
        for table in (rollups, rollup_progress, *_STALE)
    ]
    query = sa.select(*may, sa.not_(sa.func.row_security_active(calls.name)))
    return all(connection.execute(query).one())


def _hours_of(table: sa.Table, before_us: int) -> sa.Select[Any]:
    hour = sa.type_coerce(table.c.hour_us, sa.BigInteger)
    return sa.select(hour).where(hour < before_us)
