"""Answers of /responses (OpenAI's Responses): the usage comes inside `response.completed`."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import NOTHING, USAGE_BYTES, Answer, Members, text_of


class _Incomplete(msgspec.Struct, gc=False):
    reason: Any = None


class _Response(Members):
    status: Any = None
    incomplete_details: _Incomplete | None = None


class _Item(msgspec.Struct, gc=False):
    type: Any = None


class _ResponsesEvent(Members):
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
        status = text_of(getattr(message, "status", None))
        if status == "failed":
            self.failed = True
        incomplete = getattr(message, "incomplete_details", None)
        if status is not None:
            self.finish_reason = (incomplete and text_of(incomplete.reason)) or status

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
                (kind.endswith(".delta") and bytes(message.delta) not in NOTHING)
                or kind.endswith(".partial_image")
                or (
                    kind == "response.output_item.added"
                    and message.item is not None
                    and message.item.type == "function_call"
                )
            )
