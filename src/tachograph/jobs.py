"""Jobs of /videos and /batches: their polls belong to the operation that began them, and their cost
is counted once, however often a finished job is asked for.

A recorder remembers the latest jobs that it saw. A job that another process began is polled in an
operation of its own.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from tachograph.openrouter.usage import says_cost

if TYPE_CHECKING:
    from tachograph.openrouter.answer import Answer
    from tachograph.operation import Operation

_MOST = 10_000

_NOTHING, _USAGE, _COST = range(3)
"""What a job's answers have told so far."""


class _Job:
    __slots__ = ("operation", "told")

    def __init__(self) -> None:
        self.operation: Operation | None = None
        self.told = _NOTHING


class Jobs:
    """The latest jobs; for any thread."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def operation(self, job_id: str | None) -> Operation | None:
        """The operation that began a job; None where it is not known."""
        job = None if job_id is None else self._jobs.get(job_id)
        return None if job is None else job.operation

    def begun(self, job_id: str, operation: Operation) -> None:
        """A call of this operation began the job."""
        with self._lock:
            self._job(job_id).operation = operation

    def tells_more(self, job_id: str, usage: bytes) -> bool:
        """Whether this is the first usage that the job tells, or the first with its cost."""
        telling = _COST if says_cost(usage) else _USAGE
        with self._lock:
            job = self._job(job_id)
            before, job.told = job.told, max(job.told, telling)
            return telling > before

    def _job(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            if len(self._jobs) >= _MOST:
                del self._jobs[next(iter(self._jobs))]
            job = self._jobs[job_id] = _Job()
        return job


class JobCall(NamedTuple):
    """What a call has to do with a job: it asks for one, or begins one."""

    jobs: Jobs
    asks_for: str | None
    operation: Operation

    def ended(self, answer: Answer) -> None:
        """Remembers the job, and takes a cost that was told before out of the answer."""
        answer.job_id = job_id = self.asks_for or answer.job_id
        if job_id is None:
            return
        if self.asks_for is None:
            self.jobs.begun(job_id, self.operation)
        if answer.usage is not None and not self.jobs.tells_more(job_id, answer.usage):
            answer.usage = None
