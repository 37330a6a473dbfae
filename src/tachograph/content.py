"""Prompts and answers, kept where the app has asked for it, and as far as it lets them.

Keys are taken out and media masked before anything is kept or shown to the app's own function. Off
is the default, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tachograph.core.records import Content
from tachograph.core.skim import Skim
from tachograph.errors import TachographError
from tachograph.openrouter.assembly import assembly_for
from tachograph.openrouter.masking import Masking
from tachograph.openrouter.text import readings

if TYPE_CHECKING:
    from tachograph.openrouter.answer import Answer

Redact = Callable[[Any, Any], "tuple[Any, Any] | None"]
"""Is given request and answer as JSON values, and gives what of them may be kept; None: nothing.

It runs where the call ends, mostly on the caller's thread. When it raises, nothing is kept.
"""

ContentCapture = Literal["metadata", "full"] | Redact

LARGE_BYTES = 8 << 20
"""A larger request is made small before it is read: its long strings are left out."""


class Overheard:
    """Stands between a call's bytes and the reader of its facts, and keeps the content."""

    facts_only = False
    chunks = 0
    """Those of its answer count; this one serves a reader of facts alone."""

    def __init__(self, answer: Answer, capture: ContentCapture) -> None:
        self._answer = answer
        self._capture = capture
        self._masking = Masking()
        self._assembly = assembly_for(answer, self._masking)

    @property
    def has_token(self) -> bool:
        return self._answer.has_token

    def event(self, data: bytes) -> None:
        self._answer.event(data)
        self._assembly.event(data)

    def body(self, data: bytes) -> None:
        self._answer.body(data)
        self._assembly.body(data)

    def content(self, request: bytes | None, medium: str | None) -> Content | None:
        """What may be kept; `medium` stands for an answer that is no JSON.

        Raises ContentError, which tells no more than the kind of what went wrong: the text of an
        error may have content in it.
        """
        try:
            return self._content(request, medium)
        except Exception as exc:
            whose = "capture_content" if callable(self._capture) else "capturing content"
            trouble = f"{whose} raised {type(exc).__name__}, so this content is not kept"
        raise ContentError(trouble)

    def _content(self, request: bytes | None, medium: str | None) -> Content | None:
        masking = self._masking
        asked = masking.clean(_read(request))
        said = masking.clean(self._assembly.answer() if medium is None else medium)
        if callable(self._capture):
            kept = self._capture(asked, said)
            if kept is None:
                return None
            if not isinstance(kept, tuple):  # a dict of two would come apart into its names
                raise TypeError
            asked, said = (masking.clean(value) for value in kept)
        elif self._capture == "metadata":
            asked, said = masking.outline(asked), masking.outline(said)
        asked, said = masking.fitted(asked), masking.fitted(said)
        left_out = masking.left_out
        redacted = msgspec.json.encode(left_out).decode() if left_out else None
        return Content(asked, said, redacted)


class ContentError(TachographError):
    """The content of a call could not be kept; the call itself is."""


def _read(body: bytes | None) -> Any:
    """The JSON of a request; in words, what else it was."""
    if not body:
        return None
    data: bytes | None = body
    if len(body) > LARGE_BYTES:
        skim = Skim()
        skim.feed(body)
        data = skim.result()
    for text in () if data is None else readings(data):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return f"[{len(body)} bytes]"
