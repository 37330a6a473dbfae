"""What is stored of the jobs that calls ask for: which model, and which call has the bill.

A finished job tells its cost each time it is asked for, and never its model. Within a process a
recorder knows both; what other processes were told is looked for here, by the job's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.openrouter.usage import says_cost
from tachograph.store.database import not_permitted
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection, Engine

    from tachograph.core.records import Call

LONGEST_JOB_US = 2 * 24 * 3600 * 1_000_000
"""How long before a call its job can have begun."""


class KnownJob:
    """What calls said of one job."""

    __slots__ = ("billed_by", "model")

    def __init__(self) -> None:
        self.model: str | None = None
        self.billed_by: bytes | None = None
        """The call that was told the cost first."""

    def repeated_by(self, call: Call) -> bool:
        """Whether the call was told what another call has as its bill."""
        return self.billed_by not in (None, call.id) and _is_billed(call)


def known_jobs(engine: Engine, batch: Sequence[Call]) -> dict[str, KnownJob]:
    """The jobs of a batch by their ids, from what is stored and from the batch itself."""
    jobs = {call.job_id: KnownJob() for call in batch if call.job_id is not None}
    if not jobs:
        return jobs
    with engine.connect() as connection:
        _read(connection, jobs, batch)
    for call in batch:
        if call.job_id is not None:
            job = jobs[call.job_id]
            job.model = job.model or call.request_model
            if job.billed_by is None and _is_billed(call):
                job.billed_by = call.id
    return jobs


def repeated_bills(connection: Connection, batch: Sequence[Call]) -> frozenset[bytes]:
    """The ids of those calls of a batch whose bill is stored with another call.

    To be asked in the transaction that stores the batch: until its end nobody else can store a
    bill of these jobs.
    """
    billed = [call for call in batch if call.job_id is not None and _is_billed(call)]
    if not billed:
        return frozenset()
    jobs = {call.job_id or "": KnownJob() for call in billed}
    if connection.dialect.name == "postgresql":
        _lock(connection, jobs)  # SQLite has one writer at a time
    _read(connection, jobs, billed)
    return frozenset(call.id for call in billed if jobs[call.job_id or ""].repeated_by(call))


def _is_billed(call: Call) -> bool:
    return call.usage is not None and says_cost(call.usage)


def _lock(connection: Connection, job_ids: Iterable[str]) -> None:
    """Until the end of the transaction; in one order, so that no two wait for each other."""
    for job_id in sorted(job_ids):
        key = sa.func.hashtextextended(job_id, 0)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def _read(connection: Connection, jobs: dict[str, KnownJob], batch: Sequence[Call]) -> None:
    """Takes what is stored; nothing where the role may not read `calls`."""
    since_us = min(call.started_us for call in batch) - LONGEST_JOB_US
    query = (
        sa.select(
            calls.c.job_id,
            calls.c.id,
            calls.c.request_model,
            calls.c.billed_picousd.is_not(None).label("billed"),
        )
        .where(
            calls.c.job_id.in_(list(jobs)),
            calls.c.id >= uuid7_floor(max(since_us, 0)),
            calls.c.request_model.is_not(None) | calls.c.billed_picousd.is_not(None),
        )
        .order_by(calls.c.id)
    )
    try:
        with connection.begin_nested():  # a refusal is not to end the transaction around it
            rows = connection.execute(query).all()
    except sa.exc.ProgrammingError as error:
        if not not_permitted(error):
            raise
        return
    for row in rows:
        job = jobs[row.job_id]
        job.model = job.model or row.request_model
        if row.billed:
            job.billed_by = job.billed_by or row.id
