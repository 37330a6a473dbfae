"""Answers of /messages (Anthropic's Messages): cost and final usage come in `message_delta`."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import NOTHING, Answer, Members, text_of


class _MessagesDelta(msgspec.Struct, gc=False):
    stop_reason: Any = None
    text: msgspec.Raw = msgspec.Raw()
    thinking: msgspec.Raw = msgspec.Raw()
    partial_json: msgspec.Raw = msgspec.Raw()


class _Message(Members):
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
                        bytes(piece) not in NOTHING
                        for piece in (delta.text, delta.thinking, delta.partial_json)
                    )
            block = getattr(message, "content_block", None)
            if block is not None and block.type == "tool_use":
                self.has_token = True

    def _stop(self, reason: Any) -> None:
        if reason is not None:
            self.finish_reason = text_of(reason) or self.finish_reason
