"""What every answer says, in whichever dialect: id, model, provider, usage, error.

Only the members that are facts are decoded; content is passed over, looked at only to see whether
it is empty. Nothing here raises: what cannot be read stays None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tachograph.openrouter.text import readings, redact_json, shallowly, text_of

USAGE_BYTES = 64 * 1024
"""A usage object longer than this is not one."""

NOTHING = (b"", b"null", b'""', b"[]", b"{}")
"""JSON that says nothing."""
NO_ERROR = (*NOTHING, b"false", b"0")
"""What some servers write in place of an error where there is none."""


class Late(msgspec.Struct, gc=False):
    """The members that a stream may still say when its first token is there."""

    service_tier: Any = None
    error_type: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    openrouter_metadata: msgspec.Raw = msgspec.Raw()


class Members(Late, gc=False):
    """The members that every dialect has at the top of an answer."""

    id: Any = None
    model: Any = None
    provider: Any = None


class Answer:
    """What an answer has said so far. Bytes are JSON as sent."""

    # What is not said stays at these: most answers say few of them.
    facts_only: bool = True
    """Events that differ in a piece of content alone say the same to it, once a token was there."""
    chunks: int = 0
    """JSON data events so far."""
    has_token: bool = False
    """A content, reasoning, tool-call or image piece that is not empty came."""
    terminal: bool = False
    """The terminal marker, or the whole of a valid JSON answer, was seen."""
    failed: bool = False
    """An error inside the answer, or finish_reason `error`."""
    error: bytes | None = None
    error_type: str | None = None
    """OpenRouter's word for the error, where it stands beside it and not in it."""
    response_model: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    service_tier: str | None = None
    routing: bytes | None = None
    usage: bytes | None = None
    job_id: str | None = None
    """Of the job that the answer is about."""

    def body(self, data: bytes) -> None:
        """Reads a whole JSON answer."""
        message = self._decode(self._whole, data)
        if message is not None:
            self._message(message)
            self._end()

    def event(self, data: bytes) -> None:
        """Reads the data of one event."""
        if data.startswith(b"[DONE]"):
            self._end()
            return
        message = self._decode(self._piece, data)
        if message is not None:
            self.chunks += 1
            self._event(message)

    def _end(self) -> None:
        """All was said."""
        self.terminal = True
        if self.error == _EMPTY:  # which is an error where nothing else was said
            said = (self.response_model, self.generation_id, self.usage, self.finish_reason)
            self.failed = self.failed or not (self.has_token or any(said))

    # what a dialect says
    _whole: Callable[[bytes], Any]
    """Decodes a whole answer."""
    _piece: Callable[[bytes], Any]
    """Decodes an event."""
    _odd: tuple[Callable[[bytes], Any], ...] = ()
    """Decode what has parts of unforeseen types; each takes less for granted than the one before.
    """

    def _message(self, message: Any) -> None:
        raise NotImplementedError

    def _event(self, message: Any) -> None:
        raise NotImplementedError

    def _decode(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        """The message; with what can be read where a part of it has an unforeseen type; None
        where it is no JSON object."""
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        for read in (decode, *self._odd):
            for text in readings(data):
                try:
                    return shallowly(read, text)
                except msgspec.ValidationError:
                    break
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
        return None

    def _common(self, message: Members) -> None:
        """The members that every dialect has at the top of an answer."""
        if message.model:
            self.response_model = text_of(message.model) or self.response_model
        if message.id:
            self.generation_id = text_of(message.id) or self.generation_id
        if message.provider:
            self.provider = text_of(message.provider) or self.provider
        self._late(message)

    def _late(self, message: Late) -> None:
        if message.service_tier:
            self.service_tier = text_of(message.service_tier) or self.service_tier
        if message.usage:
            self.usage = _object(message.usage) or self.usage
        if message.error:
            self._fail(message.error)
        if message.error_type:
            self.error_type = text_of(message.error_type) or self.error_type
        if message.openrouter_metadata:
            self.routing = _object(message.openrouter_metadata) or self.routing

    def _fail(self, error: msgspec.Raw) -> None:
        body = compact(error)
        if body == _EMPTY:
            self.error = self.error or body
        elif body not in NO_ERROR:
            self.failed = True
            self.error = body[:USAGE_BYTES]


def says_something(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not empty."""
    return compact(raw) not in NOTHING


def compact(raw: msgspec.Raw) -> bytes:
    """The member's bytes; `[ ]` and `{ }` without the blanks."""
    data = bytes(raw)
    return data[:1] + data[-1:] if data[:1] in _OPENING and not data[1:-1].strip() else data


_OPENING = (b"[", b"{")
_EMPTY = b"{}"


def _object(raw: msgspec.Raw) -> bytes | None:
    """The bytes of an object that says something and is not beyond all measure."""
    data = bytes(raw)
    if data[:1] != b"{" or data in NOTHING or len(data) > USAGE_BYTES:
        return None
    return redact_json(data)
