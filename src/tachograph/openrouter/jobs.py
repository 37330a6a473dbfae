"""Answers of /videos and /batches: a job that is polled until it has finished."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer, Members
from tachograph.openrouter.text import text_of

FINISHED = ("completed", "failed", "cancelled", "expired")
"""A job that says one of these says no more."""


class _Job(Members):
    generation_id: Any = None
    status: Any = None


class JobAnswer(Answer):
    """/videos, /batches: only a finished job has its usage."""

    _whole = staticmethod(msgspec.json.Decoder(_Job).decode)
    _piece = _whole

    def _message(self, message: Any) -> None:
        self.job_id = text_of(message.id)
        # a job's own id is no generation's, unless it looks like one
        is_generation = self.job_id is not None and self.job_id.startswith("gen-")
        message.id = message.generation_id or (message.id if is_generation else None)
        status = text_of(message.status)
        if status in FINISHED:
            self.finish_reason = status
            self.failed = status == "failed"
        elif status is not None:
            message.usage = msgspec.Raw()
        self._common(message)

    _event = _message
