"""Rows of `calls` for tests that begin where the writer ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tachograph.core.ids import uuid7
from tachograph.core.units import microseconds
from tachograph.store.database import write_transaction
from tachograph.store.schema import calls

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def store(engine: sa.Engine, *rows: dict[str, Any]) -> list[bytes]:
    """Stores calls a second apart; what a row does not say is a plain success.

    Columns go by the names of frames; money is a number or digits.
    """
    filled = [_row(number, dict(row)) for number, row in enumerate(rows)]
    with write_transaction(engine) as connection:
        for row in filled:
            connection.execute(sa.insert(calls), row)
    return [row["id"] for row in filled]


def _row(number: int, row: dict[str, Any]) -> dict[str, Any]:
    started = row.pop("started_at", NOON + timedelta(seconds=number))
    id_ = uuid7(microseconds(started))
    money = {name for name in row if name.endswith("_usd")}
    return {
        "id": id_,
        "operation_id": id_,
        "attempt": 1,
        "resend_count": 0,
        "operation_name": "chat",
        "host": "openrouter.ai",
        "path": "/chat/completions",
        "started_us": started,
        "outcome": "completed",
        "cost_source": "unknown",
        **{name: value for name, value in row.items() if name not in money},
        **{name.replace("_usd", "_picousd"): Decimal(row[name]) for name in money},
    }
