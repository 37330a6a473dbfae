"""Which calls repeat the cost of a job that another process has stored already.

A finished job tells its cost each time it is asked for. Within a process a recorder knows that;
here the other processes' calls are looked for, by the job's generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.store.database import not_permitted
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from tachograph.core.records import Call

LONGEST_JOB_US = 2 * 24 * 3600 * 1_000_000
"""How long before a call its job can have been billed."""

_JOBS = ("video_generation", "batch")


def repeated_bills(engine: Engine, batch: list[Call]) -> frozenset[bytes]:
    """The ids of those calls of a batch whose cost is stored with another call, or told earlier in
    the batch; none where the role may not read `calls`."""
    asked = [
        call
        for call in batch
        if call.operation_name in _JOBS and call.usage is not None and call.generation_id
    ]
    if not asked:
        return frozenset()
    first = {call.generation_id: call.id for call in reversed(asked)}
    since_us = min(call.started_us for call in asked) - LONGEST_JOB_US
    query = sa.select(calls.c.generation_id, calls.c.id).where(
        calls.c.id >= uuid7_floor(max(since_us, 0)),
        calls.c.billed_picousd.is_not(None),
        calls.c.generation_id.in_(list(first)),
    )
    try:
        with engine.connect() as connection:
            first.update((row.generation_id, row.id) for row in connection.execute(query))
    except sa.exc.ProgrammingError as error:
        if not not_permitted(error):
            raise
    return frozenset(call.id for call in asked if first[call.generation_id] != call.id)
