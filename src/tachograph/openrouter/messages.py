"""Answers of /messages (Anthropic's Messages): cost and final usage come in `message_delta`."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer, Late, Members, says_something
from tachograph.openrouter.text import text_of


class _Message(Members):
    type: Any = None
    stop_reason: Any = None


class _Event(Members):
    type: Any = None
    message: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    content_block: msgspec.Raw = msgspec.Raw()


class _Piece(msgspec.Struct, gc=False):
    """A content block, or what is added to one."""

    type: Any = None
    stop_reason: Any = None
    text: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    partial_json: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Tier(msgspec.Struct, gc=False):
    service_tier: Any = None


class MessagesAnswer(Answer):
    """/messages: cost and final usage come in `message_delta`; a stray [DONE] follows."""

    _whole = staticmethod(msgspec.json.Decoder(_Message).decode)
    _piece = staticmethod(msgspec.json.Decoder(_Event).decode)

    def event(self, data: bytes) -> None:
        # the [DONE] that OpenRouter adds says nothing that message_stop has not said
        if not data.startswith(b"[DONE]"):
            super().event(data)

    def _message(self, message: Any) -> None:
        self._common(message)
        self._stop(message.stop_reason)
        if message.type == "error":
            self.failed = True

    def _event(self, message: Any) -> None:
        kind = message.type
        if kind == "content_block_delta":
            if not self.has_token:
                self.has_token = self._speaks(message.delta)
        elif kind == "content_block_start":
            if not self.has_token:
                self.has_token = self._speaks(message.content_block)
        elif kind == "message_start":
            started = self._decode(self._whole, bytes(message.message))
            if started is not None:
                usage, started.usage = started.usage, msgspec.Raw()
                self._common(started)
                self.usage = _of_input(bytes(usage))
        else:
            self._common(message)
            if kind == "error":
                self.failed = True
            elif kind == "message_stop":
                self.terminal = True
            elif kind == "message_delta":
                delta = self._decode(_piece, bytes(message.delta))
                self._stop(delta and delta.stop_reason)

    def _late(self, message: Late) -> None:
        before = self.usage
        super()._late(message)
        if message.usage and before and self.usage:
            self.usage = _merged(before, self.usage)
        if message.usage and self.usage:  # the tier stands in the usage
            tier = self._decode(_tier, self.usage)
            self.service_tier = text_of(tier and tier.service_tier) or self.service_tier

    def _speaks(self, raw: msgspec.Raw) -> bool:
        piece = self._decode(_piece, bytes(raw))
        return piece is not None and (
            piece.type == "tool_use"
            or any(
                map(says_something, (piece.text, piece.thinking, piece.partial_json, piece.data))
            )
        )

    def _stop(self, reason: Any) -> None:
        if reason is not None:
            self.finish_reason = text_of(reason) or self.finish_reason


def _of_input(usage: bytes) -> bytes | None:
    """What a `message_start` says of the input. What it says of the output is provisional: counts
    of what has not been written yet."""
    try:
        members = _fields(usage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    kept = {k: v for k, v in members.items() if k in _INPUT and bytes(v) != b"null"}
    return msgspec.json.encode(kept) if kept else None


def _merged(before: bytes, after: bytes) -> bytes:
    """The later usage, with the members that only the earlier one has."""
    try:
        return msgspec.json.encode({**_fields(before), **_fields(after)})
    except (msgspec.DecodeError, UnicodeDecodeError):
        return after


_INPUT = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_piece = msgspec.json.Decoder(_Piece).decode
_tier = msgspec.json.Decoder(_Tier).decode
