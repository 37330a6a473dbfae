"""Answers of /chat/completions and /completions, and the plain ones of the other endpoints."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer, Late, Members, says_something
from tachograph.openrouter.text import text_of


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning_details: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    audio: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()


class _Detail(msgspec.Struct, gc=False):
    text: msgspec.Raw = msgspec.Raw()
    summary: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


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


class _OddChunk(Members, gc=False):
    choices: list[msgspec.Raw] | None = None


class ChatAnswer(Answer):
    """/chat/completions, /completions, and the plain answers of the other endpoints."""

    _whole = staticmethod(msgspec.json.Decoder(_Chunk).decode)
    _piece = staticmethod(msgspec.json.Decoder(_FirstChunk).decode)
    _later = staticmethod(msgspec.json.Decoder(_LaterChunk).decode)
    _odd = (msgspec.json.Decoder(_OddChunk).decode, msgspec.json.Decoder(Members).decode)

    def event(self, data: bytes) -> None:
        if not self.has_token or data == b"[DONE]":
            return super().event(data)
        # The hot path: most chunks bring a piece of content and nothing else.
        try:
            chunk = self._later(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
        for choice in _choices(message):
            self._choice(choice)

    def _event(self, message: Any) -> None:
        self._message(message)
        if not self.has_token:
            self.has_token = any(
                _speaks(choice) for choice in _choices(message) if isinstance(choice, _FirstChoice)
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


def _choices(message: Any) -> list[_Choice]:
    """The choices of a message; those that can be read where some are odd."""
    choices = getattr(message, "choices", None) or []
    if not isinstance(message, _OddChunk):
        return choices
    found = []
    for raw in choices:
        for read in (_first_choice, _any_choice):
            try:
                found.append(read(raw))
                break
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return found


_first_choice = msgspec.json.Decoder(_FirstChoice).decode
_any_choice = msgspec.json.Decoder(_Choice).decode
_details = msgspec.json.Decoder(list[_Detail]).decode


def _speaks(choice: _FirstChoice) -> bool:
    if says_something(choice.text):
        return True
    delta = choice.delta
    if delta is None:
        return False
    return (
        says_something(delta.content)
        or says_something(delta.reasoning)
        or says_something(delta.tool_calls)
        or says_something(delta.images)
        or says_something(delta.reasoning_content)
        or says_something(delta.audio)
        or says_something(delta.refusal)
        or _reasons(delta.reasoning_details)
    )


def _reasons(raw: msgspec.Raw) -> bool:
    """Whether pieces of reasoning hold any; a signature is none."""
    if not says_something(raw):
        return False
    try:
        details = _details(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return any(map(says_something, (part for d in details for part in (d.text, d.summary, d.data))))
