"""Operations: one unit of work of the caller, and which calls belong to it.

The caller's context says it: `with recorder.operation("summarise")` is a context variable, seen by
asyncio tasks and by threads that copy the context. Without one, a request and its re-sendings are
an operation of their own.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref
from zlib import crc32

import msgspec

from tachograph.openrouter.text import fit

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST_ATTEMPTS = 32_767
"""What the column holds; the calls of an operation beyond it all have this number."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where in its operation a call stands."""

    operation_id: bytes
    attempt: int
    resend_count: int
    resend_of: bytes | None = None
    """The id of the call that this one sends again."""
    resend_of_span: bytes | None = None
    """Trace id and span id of that sending."""


class Operation:
    """A named unit of work; its id is the id of its first call."""

    __slots__ = ("_attempts", "_id", "_lock", "name", "session_id", "tags", "user_id")

    def __init__(
        self,
        name: str | None,
        session: str | None,
        user: str | None,
        tags: Mapping[str, Any] | None,
    ) -> None:
        self.name = None if name is None else fit(str(name))
        self.session_id = None if session is None else fit(str(session))[:256]
        self.user_id = None if user is None else fit(str(user))
        self.tags = None
        if tags:
            self.tags = msgspec.json.encode(
                {fit(str(k)): _plain(v) for k, v in tags.items()}
            ).decode()
        self._id: bytes | None = None
        self._attempts = 0
        self._lock = threading.Lock()

    @classmethod
    def begun_at(cls, place: Place, session: str | None, user: str | None) -> Operation:
        """The operation, which nobody named, of a call that stands at this place in it."""
        operation = cls(None, session, user, None)
        operation._id, operation._attempts = place.operation_id, place.attempt
        return operation

    @property
    def id(self) -> bytes | None:
        """That of its first call; None before there is one."""
        return self._id

    def place(self, call_id: bytes, earlier: FailedSending | None = None) -> Place:
        """The place of its next call, which may send an earlier one again."""
        with self._lock:
            if self._id is None:
                self._id = call_id
            self._attempts = min(self._attempts + 1, MOST_ATTEMPTS)
            attempt = self._attempts
        return _place(self._id, attempt, earlier)


class FailedSending(NamedTuple):
    """The latest call that failed in this context: a re-sending joins it."""

    request: ref[Any]
    body_crc: int | None
    call_id: bytes
    place: Place
    span: bytes | None
    """Trace id and span id."""


current_operation: ContextVar[Operation | None] = ContextVar("tachograph_operation", default=None)
_latest_failed: ContextVar[FailedSending | None] = ContextVar("tachograph_failed", default=None)


def place_of(
    call_id: bytes,
    request: Any,
    body: bytes | None,
    retry_count: bytes | None,
    operation: Operation | None,
) -> Place:
    """The place of a call that begins: in the operation that is known, after the sending that it
    repeats, or in an operation of its own.

    A re-sending is the same request object (openrouter's SDK), or the same body with openai's
    `x-stainless-retry-count` above 0, after a sending that failed in the same context.
    """
    earlier = _earlier_sending(request, body, retry_count)
    if operation is not None:
        return operation.place(call_id, earlier)
    if earlier is None:
        return Place(call_id, 1, 0)
    attempt = min(earlier.place.attempt + 1, MOST_ATTEMPTS)
    return _place(earlier.place.operation_id, attempt, earlier)


def note_failure(
    request: Any, body: bytes | None, call_id: bytes, place: Place, span: bytes | None
) -> None:
    """This call failed: the next one of the context may repeat it. `span` is trace id and span
    id, None without a tracer."""
    _latest_failed.set(FailedSending(ref(request), _crc(body), call_id, place, span))


def _place(operation_id: bytes, attempt: int, earlier: FailedSending | None) -> Place:
    if earlier is None:
        return Place(operation_id, attempt, 0)
    resend_count = min(earlier.place.resend_count + 1, MOST_ATTEMPTS)
    return Place(operation_id, attempt, resend_count, earlier.call_id, earlier.span)


def _earlier_sending(
    request: Any, body: bytes | None, retry_count: bytes | None
) -> FailedSending | None:
    failed = _latest_failed.get()
    if failed is None:
        return None
    if failed.request() is request:
        return failed
    if retry_count not in (None, b"0") and failed.body_crc == _crc(body):
        return failed
    return None


def _crc(body: bytes | None) -> int | None:
    return None if body is None else crc32(body)


def _plain(value: Any) -> Any:
    """A tag's value as JSON: numbers, booleans and null stay, all else becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return fit(str(value))
