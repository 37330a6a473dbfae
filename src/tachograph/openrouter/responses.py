"""Answers of /responses (OpenAI's Responses): the usage comes inside `response.completed`."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import USAGE_BYTES, Answer, Members, says_something
from tachograph.openrouter.text import text_of

_ENDS = ("response.completed", "response.incomplete", "response.failed")


class _Response(Members):
    status: Any = None
    incomplete_details: Any = None


class _Event(Members):
    type: Any = None
    response: msgspec.Raw = msgspec.Raw()
    delta: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct, gc=False):
    type: Any = None


class ResponsesAnswer(Answer):
    """/responses: the usage comes inside `response.completed`."""

    _whole = staticmethod(msgspec.json.Decoder(_Response).decode)
    _piece = staticmethod(msgspec.json.Decoder(_Event).decode)

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
        status = text_of(message.status)
        if status == "failed":
            self.failed = True
        if status is not None:
            details = message.incomplete_details
            reason = details.get("reason") if isinstance(details, dict) else None
            self.finish_reason = text_of(reason) or status

    def _event(self, message: Any) -> None:
        kind = message.type
        if message.error or kind == "error" or not isinstance(kind, str):
            self._common(message)
        if not isinstance(kind, str):
            return
        if kind in ("error", "response.failed"):
            self.failed = True
        if kind in _ENDS:
            self.terminal = True
        if message.response:
            response = self._decode(self._whole, bytes(message.response))
            if response is None:
                return
            if kind in _ENDS:
                self._message(response)
            else:
                self._common(response)
        elif not self.has_token:
            self.has_token = (
                (kind.endswith(".delta") and says_something(message.delta))
                or kind.endswith(".partial_image")
                or (kind == "response.output_item.added" and self._is_call(message.item))
            )

    def _is_call(self, item: msgspec.Raw) -> bool:
        """Whether an item is a call of one of the caller's tools, which begins with its name."""
        read = self._decode(_item, bytes(item))
        return read is not None and read.type in ("function_call", "custom_tool_call")


_item = msgspec.json.Decoder(_Item).decode
