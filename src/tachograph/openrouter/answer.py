"""What every answer says, in whichever dialect: id, model, provider, usage, error.

Only the members that are facts are decoded; content is passed over, looked at only to see whether
it is empty. Nothing here raises: what cannot be read stays None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

USAGE_BYTES = 64 * 1024
"""A usage object longer than this is not one."""

NOTHING = (b"", b"null", b'""', b"[]", b"{}")
"""JSON that says nothing."""


class Late(msgspec.Struct, gc=False):
    """The members that a stream may still say when its first token is there."""

    service_tier: Any = None
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
    chunks: int = 0
    """JSON data events so far."""
    has_token: bool = False
    """A content, reasoning, tool-call or image piece that is not empty came."""
    terminal: bool = False
    """The terminal marker, or the whole of a valid JSON answer, was seen."""
    failed: bool = False
    """An error inside the answer, or finish_reason `error`."""
    error: bytes | None = None
    response_model: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    service_tier: str | None = None
    routing: bytes | None = None
    usage: bytes | None = None

    def body(self, data: bytes) -> None:
        """Reads a whole JSON answer."""
        message = self._decode(self._whole, data)
        if message is not None:
            self.terminal = True
            self._message(message)

    def event(self, data: bytes) -> None:
        """Reads the data of one event."""
        if data == b"[DONE]":
            self.terminal = True
            return
        message = self._decode(self._later if self.has_token else self._first, data)
        if message is not None:
            self.chunks += 1
            self._event(message)

    # what a dialect says
    _whole: Callable[[bytes], Any]
    _first: Callable[[bytes], Any]
    _later: Callable[[bytes], Any]

    def _message(self, message: Any) -> None:
        raise NotImplementedError

    def _event(self, message: Any) -> None:
        raise NotImplementedError

    def _decode(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        """The message; with its members alone where a part of it has an unforeseen type; None
        where it is no JSON object."""
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _decode_odd(decode, data)

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
        if message.openrouter_metadata:
            self.routing = _object(message.openrouter_metadata) or self.routing

    def _fail(self, error: msgspec.Raw) -> None:
        body = bytes(error)
        if body not in NOTHING:
            self.failed = True
            self.error = body[:USAGE_BYTES]


_members = msgspec.json.Decoder(Members).decode

# Half of a surrogate pair: some providers cut an emoji in two, each half in a chunk of its own.
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def _decode_odd(decode: Callable[[bytes], Any], data: bytes) -> Any:
    for read in (decode, _members):
        for text in (data, _repaired(data)):
            try:
                return read(text)
            except msgspec.ValidationError:
                break
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return None


def _repaired(data: bytes) -> bytes:
    """The text with what is no Unicode replaced, so that the rest can be read."""
    return _HALF.sub(rb"\\ufffd", data.decode("utf-8", "replace").encode())


def text_of(value: Any) -> str | None:
    """A short text, or None for anything else."""
    if isinstance(value, str) and value and len(value) <= 512:
        return value if "\0" not in value else value.replace("\0", "")
    return None


def _object(raw: msgspec.Raw) -> bytes | None:
    """The bytes of an object that is not null and not beyond all measure."""
    data = bytes(raw)
    return data if data[:1] == b"{" and len(data) <= USAGE_BYTES else None
