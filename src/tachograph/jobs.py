"""Jobs of /videos and /batches: their polls belong to the operation that began them, and their cost
is counted once, however often a finished job is asked for.

A recorder remembers the latest jobs that it saw. A job that another process began is polled in an
operation of its own.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tachograph.openrouter.answer import Answer
    from tachograph.operation import Operation

_MOST = 10_000


class _Job:
    __slots__ = ("billed", "operation")

    def __init__(self) -> None:
        self.operation: Operation | None = None
        self.billed = False


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

    def bill(self, job_id: str) -> bool:
        """Whether this is the first time that the job tells its cost."""
        with self._lock:
            job = self._job(job_id)
            first, job.billed = not job.billed, True
            return first

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
        job_id = self.asks_for or answer.job_id
        if job_id is None:
            return
        if self.asks_for is None:
            self.jobs.begun(job_id, self.operation)
        if answer.usage is not None and not self.jobs.bill(job_id):
            answer.usage = None
