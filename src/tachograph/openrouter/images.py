"""Answers of /images: a plain one, or a stream whose last event of each image has the usage."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer, Members, says_something


class _Event(Members):
    type: Any = None
    b64_json: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()


class ImagesAnswer(Answer):
    """/images."""

    _whole = staticmethod(msgspec.json.Decoder(Members).decode)
    _piece = staticmethod(msgspec.json.Decoder(_Event).decode)

    def _message(self, message: Any) -> None:
        self._common(message)

    def _event(self, message: Any) -> None:
        self._common(message)
        if says_something(message.b64_json) or says_something(message.text):
            self.has_token = True
        if message.type == "image_generation.completed":
            self.terminal = True
        elif message.type == "error":
            self.failed = True
