"""What a database tells of how it fares: facts for `tachograph doctor`, each read cheaply."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds
from tachograph.store.schema import calls, journal_dead, prices

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine


class Health(msgspec.Struct, frozen=True):
    """How a database fares."""

    clock: datetime | None
    """The server's clock; None where there is no server."""
    newest: datetime | None
    """When the last call began."""
    unreadable: int
    """Records that could not be stored (`journal_dead`)."""
    prices: int
    priced_at: datetime | None
    """When a price was last new or other than before; a reading that changed nothing is no row."""
    completed: int
    """Calls of the period that completed with tokens to be paid for."""
    without_cost: int
    """Those of them of which no cost is known."""
    without_price: int
    """Those of them for which no cost could be computed."""
    examples: tuple[str, ...]
    """Models of the latter, three at most."""


def read_health(engine: Engine, since: datetime) -> Health:
    """The facts; those on costs are of the calls that began since then."""
    tokens = calls.c.input_tokens + sa.func.coalesce(calls.c.output_tokens, 0)
    recent = (
        calls.c.id >= uuid7_floor(microseconds(since)),
        calls.c.outcome == "completed",
        tokens > 0,
    )
    unpriced = calls.c.computed_picousd.is_(None)
    costs = sa.select(
        sa.func.count(),
        sa.func.count().filter(calls.c.spent_picousd.is_(None)),
        sa.func.count().filter(unpriced),
    ).where(*recent)
    models = (
        sa.select(calls.c.model)
        .where(*recent, unpriced, calls.c.model.is_not(None))
        .group_by(calls.c.model)
        .order_by(sa.func.count().desc(), calls.c.model)
        .limit(3)
    )
    newest = sa.select(calls.c.started_us).order_by(calls.c.id.desc()).limit(1)
    priced = sa.select(sa.func.count(), sa.func.max(prices.c.fetched_us))
    with engine.connect() as connection:
        count, priced_at = connection.execute(priced).one()
        completed, without_cost, without_price = connection.execute(costs).one()
        return Health(
            clock=_clock(connection),
            newest=connection.execute(newest).scalar(),
            unreadable=connection.execute(
                sa.select(sa.func.count()).select_from(journal_dead)
            ).scalar_one(),
            prices=count,
            priced_at=priced_at,
            completed=completed,
            without_cost=without_cost,
            without_price=without_price,
            examples=tuple(connection.execute(models).scalars()),
        )


def _clock(connection: Connection) -> datetime | None:
    if connection.dialect.name == "sqlite":
        return None
    now: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    return now
