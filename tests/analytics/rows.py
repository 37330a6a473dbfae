"""Calls with as little said as a test needs: rows of the table, and frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from tachograph.analytics.schema import CALLS
from tachograph.core.ids import uuid7
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.schema import calls

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(after: timedelta | float = 0, **values: Any) -> dict[str, Any]:
    """One call that began so long (or so many seconds) after NOON; all columns are there."""
    started = NOON + (after if isinstance(after, timedelta) else timedelta(seconds=after))
    call_id = uuid7(microseconds(started))
    return (
        dict.fromkeys(column.name for column in calls.columns)
        | {
            "id": call_id,
            "operation_id": call_id,
            "attempt": 1,
            "resend_count": 0,
            "host": "openrouter.ai",
            "path": "/chat/completions",
            "started_us": started,
            "outcome": "completed",
            "cost_source": "unknown",
        }
        | values
    )


def stored(url: str, rows: Sequence[dict[str, Any]]) -> str:
    """Puts rows into a database that it creates; the database's URL."""
    engine = open_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        if rows:
            connection.execute(calls.insert(), rows)
    engine.dispose()
    return url


def calls_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """A frame of completed calls with these values, and null for the rest."""
    whole = [dict.fromkeys(CALLS) | {"outcome": "completed"} | values for values in rows]
    return pl.DataFrame(whole, schema=CALLS, orient="row")
