"""Answers, whole or event by event -> id, model, provider, usage, finish reason, error.

One reader for each dialect, all with the same facts. Only the members that are facts are decoded;
content is passed over, looked at only to see whether it is empty. Readers never raise: what cannot
be read stays None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tachograph.openrouter.endpoints import Dialect

USAGE_BYTES = 64 * 1024
"""A usage object longer than this is not one."""

_NOTHING = (b"", b"null", b'""', b"[]", b"{}")


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

    def _common(self, message: _Members) -> None:
        """The members that every dialect has at the top of an answer."""
        if message.model:
            self.response_model = _text(message.model) or self.response_model
        if message.id:
            self.generation_id = _text(message.id) or self.generation_id
        if message.provider:
            self.provider = _text(message.provider) or self.provider
        self._late(message)

    def _late(self, message: _Members | _LaterChunk) -> None:
        """Those of them that a stream may still say when its first token is there."""
        if message.service_tier:
            self.service_tier = _text(message.service_tier) or self.service_tier
        if message.usage:
            self.usage = _object(message.usage) or self.usage
        if message.error:
            self._fail(message.error)
        if message.openrouter_metadata:
            self.routing = _object(message.openrouter_metadata) or self.routing

    def _fail(self, error: msgspec.Raw) -> None:
        body = bytes(error)
        if body not in _NOTHING:
            self.failed = True
            self.error = body[:USAGE_BYTES]


# --- chat completions, and every endpoint that answers in plain JSON ---


class _Members(msgspec.Struct, gc=False):
    id: Any = None
    model: Any = None
    provider: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    openrouter_metadata: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct, gc=False):
    finish_reason: Any = None
    native_finish_reason: Any = None
    error: msgspec.Raw = msgspec.Raw()


class _FirstChoice(_Choice, gc=False):
    delta: _Delta | None = None
    text: msgspec.Raw = msgspec.Raw()


class _Chunk(_Members, gc=False):
    choices: list[_Choice] | None = None


class _LaterChunk(msgspec.Struct, gc=False):
    """What may still change once the first token is there."""

    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    openrouter_metadata: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None


class _FirstChunk(_Members, gc=False):
    choices: list[_FirstChoice] | None = None
    type: Any = None


class ChatAnswer(Answer):
    """/chat/completions, /completions, and the plain answers of the other endpoints."""

    _whole = staticmethod(msgspec.json.Decoder(_Chunk).decode)
    _first = staticmethod(msgspec.json.Decoder(_FirstChunk).decode)
    _later = staticmethod(msgspec.json.Decoder(_LaterChunk).decode)

    def event(self, data: bytes) -> None:
        if not self.has_token or data == b"[DONE]":
            return super().event(data)
        # The hot path: most chunks bring a piece of content and nothing else.
        try:
            chunk = self._later(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return super().event(data)
        self.chunks += 1
        for choice in chunk.choices or ():
            if choice.finish_reason is not None or choice.error:
                self._choice(choice)
        if chunk.usage or chunk.error or chunk.openrouter_metadata or chunk.service_tier:
            self._late(chunk)
        return None

    def _message(self, message: Any) -> None:
        self._common(message)
        for choice in getattr(message, "choices", None) or ():
            self._choice(choice)

    def _event(self, message: Any) -> None:
        self._message(message)
        if not self.has_token and type(message) is _FirstChunk:
            kind = message.type  # of a stream of /images
            self.has_token = any(_speaks(choice) for choice in message.choices or ()) or (
                isinstance(kind, str) and kind.endswith(("partial_image", ".completed"))
            )

    def _choice(self, choice: _Choice) -> None:
        if choice.finish_reason:
            self.finish_reason = _text(choice.finish_reason) or self.finish_reason
            if choice.finish_reason == "error":
                self.failed = True
        if choice.native_finish_reason:
            self.native_finish_reason = (
                _text(choice.native_finish_reason) or self.native_finish_reason
            )
        if choice.error:
            self._fail(choice.error)


def _speaks(choice: _FirstChoice) -> bool:
    delta = choice.delta
    if bytes(choice.text) not in _NOTHING:
        return True
    return delta is not None and any(
        bytes(piece) not in _NOTHING
        for piece in (
            delta.content,
            delta.reasoning,
            delta.reasoning_content,
            delta.tool_calls,
            delta.images,
            delta.audio,
            delta.refusal,
        )
    )


# --- OpenAI Responses ---


class _Incomplete(msgspec.Struct, gc=False):
    reason: Any = None


class _Response(_Members):
    status: Any = None
    incomplete_details: _Incomplete | None = None


class _Item(msgspec.Struct, gc=False):
    type: Any = None


class _ResponsesEvent(_Members):
    type: Any = None
    response: _Response | None = None
    delta: msgspec.Raw = msgspec.Raw()
    item: _Item | None = None
    code: Any = None


class ResponsesAnswer(Answer):
    """/responses: the usage comes inside `response.completed`."""

    _whole = staticmethod(msgspec.json.Decoder(_Response).decode)
    _first = staticmethod(msgspec.json.Decoder(_ResponsesEvent).decode)
    _later = _first
    _as_error = staticmethod(msgspec.json.Decoder(msgspec.Raw).decode)

    def body(self, data: bytes) -> None:
        super().body(data)
        # an answer that is still being made (background) has not ended
        self.terminal = self.terminal and self.finish_reason not in ("in_progress", "queued")

    def event(self, data: bytes) -> None:
        failed = self.failed
        super().event(data)
        if self.failed and not failed and self.error is None:
            self.error = data[:USAGE_BYTES]  # an `error` event whose members stand at its top

    def _message(self, message: Any) -> None:
        self._common(message)
        status = _text(getattr(message, "status", None))
        if status == "failed":
            self.failed = True
        incomplete = getattr(message, "incomplete_details", None)
        if status is not None:
            self.finish_reason = (incomplete and _text(incomplete.reason)) or status

    def _event(self, message: Any) -> None:
        kind = getattr(message, "type", None)
        if not isinstance(kind, str):
            self._common(message)
        elif kind == "error":
            self.failed = True
            self._common(message)
        elif message.response is not None:
            ended = kind in ("response.completed", "response.incomplete", "response.failed")
            if ended:
                self.terminal = True
                self._message(message.response)
            else:
                self._common(message.response)
            if kind == "response.failed":
                self.failed = True
        elif not self.has_token:
            self.has_token = (
                (kind.endswith(".delta") and bytes(message.delta) not in _NOTHING)
                or kind.endswith(".partial_image")
                or (
                    kind == "response.output_item.added"
                    and message.item is not None
                    and message.item.type == "function_call"
                )
            )


# --- Anthropic Messages ---


class _MessagesDelta(msgspec.Struct, gc=False):
    stop_reason: Any = None
    text: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    partial_json: msgspec.Raw = msgspec.Raw()


class _Message(_Members):
    stop_reason: Any = None
    type: Any = None


class _Block(msgspec.Struct, gc=False):
    type: Any = None


class _MessagesEvent(_Message):
    message: _Message | None = None
    delta: _MessagesDelta | None = None
    content_block: _Block | None = None


class MessagesAnswer(Answer):
    """/messages: cost and final usage come in `message_delta`; a stray [DONE] follows."""

    _whole = staticmethod(msgspec.json.Decoder(_Message).decode)
    _first = staticmethod(msgspec.json.Decoder(_MessagesEvent).decode)
    _later = _first

    def event(self, data: bytes) -> None:
        # the [DONE] that OpenRouter adds says nothing that message_stop has not said
        if data != b"[DONE]":
            super().event(data)

    def _message(self, message: Any) -> None:
        self._common(message)
        self._stop(getattr(message, "stop_reason", None))
        if getattr(message, "type", None) == "error":
            self.failed = True

    def _event(self, message: Any) -> None:
        kind = getattr(message, "type", None)
        if kind == "message_start" and message.message is not None:
            # its usage is provisional: counts of output that has not been written yet
            message.message.usage = msgspec.Raw()
            self._common(message.message)
        elif kind == "message_stop":
            self.terminal = True
            self._common(message)
        else:
            self._common(message)
            if kind == "error":
                self.failed = True
            delta = getattr(message, "delta", None)
            if delta is not None:
                self._stop(delta.stop_reason)
                if not self.has_token:
                    self.has_token = any(
                        bytes(piece) not in _NOTHING
                        for piece in (delta.text, delta.thinking, delta.partial_json)
                    )
            block = getattr(message, "content_block", None)
            if block is not None and block.type == "tool_use":
                self.has_token = True

    def _stop(self, reason: Any) -> None:
        if reason is not None:
            self.finish_reason = _text(reason) or self.finish_reason


_members = msgspec.json.Decoder(_Members).decode

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


_READERS: dict[Dialect, type[Answer]] = {
    "chat": ChatAnswer,
    "responses": ResponsesAnswer,
    "messages": MessagesAnswer,
}


def reader_for(dialect: Dialect) -> Answer:
    """An empty answer of the dialect, to be fed."""
    return _READERS[dialect]()


def _text(value: Any) -> str | None:
    """A short text, or None for anything else."""
    if isinstance(value, str) and value and len(value) <= 512:
        return value if "\0" not in value else value.replace("\0", "")
    return None


def _object(raw: msgspec.Raw) -> bytes | None:
    """The bytes of an object that is not null and not beyond all measure."""
    data = bytes(raw)
    return data if data[:1] == b"{" and len(data) <= USAGE_BYTES else None
