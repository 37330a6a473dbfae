"""Answers of /chat/completions and /completions, and the plain ones of the other endpoints."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import NOTHING, Answer, Late, Members, text_of


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


class _Chunk(Members, gc=False):
    choices: list[_Choice] | None = None


class _LaterChunk(Late, gc=False):
    choices: list[_Choice] | None = None


class _FirstChunk(Members, gc=False):
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
            self.finish_reason = text_of(choice.finish_reason) or self.finish_reason
            if choice.finish_reason == "error":
                self.failed = True
        if choice.native_finish_reason:
            self.native_finish_reason = (
                text_of(choice.native_finish_reason) or self.native_finish_reason
            )
        if choice.error:
            self._fail(choice.error)


def _speaks(choice: _FirstChoice) -> bool:
    delta = choice.delta
    if bytes(choice.text) not in NOTHING:
        return True
    return delta is not None and any(
        bytes(piece) not in NOTHING
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
