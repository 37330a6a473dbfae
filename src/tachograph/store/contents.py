"""What was kept of prompts and answers: into `contents`, and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tachograph.core.ids import uuid7_floor
from tachograph.store.schema import contents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from tachograph.core.records import Call


def add_contents(connection: Connection, calls: Iterable[Call]) -> None:
    """Stores what these calls carry, within the connection's transaction; harmless when
    repeated."""
    rows = [
        {
            "call_id": call.id,
            "request": call.content.request,
            "answer": call.content.answer,
            "redacted": call.content.redacted,
        }
        for call in calls
        if call.content is not None
    ]
    if rows:
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
        connection.execute(insert(contents).on_conflict_do_nothing(), rows)


def select_contents(since_us: int | None, until_us: int | None) -> sa.Select[Any]:
    """The contents of the calls that began in [since, until)."""
    query = sa.select(*contents.columns)
    if since_us is not None:
        query = query.where(contents.c.call_id >= uuid7_floor(since_us))
    if until_us is not None:
        query = query.where(contents.c.call_id < uuid7_floor(until_us))
    return query
