"""Answers about models and the account, which cost nothing, whatever they say of costs."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer


class _Failure(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()


class AccountAnswer(Answer):
    """/models, /generation, /key, /credits, /activity...: only an error of theirs is a fact."""

    _whole = staticmethod(msgspec.json.Decoder(_Failure).decode)
    _piece = _whole

    def _message(self, message: Any) -> None:
        if message.error:
            self._fail(message.error)

    _event = _message
