"""Answers fed through the capture: whole, byte by byte, and in any cuts."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.core.capture import Capture
from tachograph.openrouter.answer import Answer
from tachograph.openrouter.endpoints import Dialect
from tachograph.openrouter.readers import reader_for

FACTS = tuple(name for name in Answer.__annotations__ if not name.startswith("_"))


def sse(*events: Any) -> bytes:
    """Events as they are on the wire; bytes stay as they are."""
    data = [e if isinstance(e, bytes) else msgspec.json.encode(e) for e in events]
    return b": OPENROUTER PROCESSING\n\n" + b"".join(b"data: %b\n\n" % d for d in data)


def fed(dialect: Dialect, kind: str, pieces: list[bytes]) -> dict[str, Any]:
    """What an answer says that comes in these pieces."""
    answer = reader_for(dialect)
    capture = Capture(answer)
    capture.head(kind, "")
    for now, piece in enumerate(pieces):
        capture.feed(piece, now)
    capture.finish()
    return {name: getattr(answer, name) for name in FACTS}


def read(dialect: Dialect, body: Any) -> dict[str, Any]:
    """What a plain answer says, whole and byte by byte."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return _both(dialect, "application/json", data)


def read_stream(dialect: Dialect, *events: Any) -> dict[str, Any]:
    """What a stream says, whole and byte by byte."""
    return _both(dialect, "text/event-stream", sse(*events))


def _both(dialect: Dialect, kind: str, data: bytes) -> dict[str, Any]:
    whole = fed(dialect, kind, [data])
    assert fed(dialect, kind, [data[i : i + 1] for i in range(len(data))]) == whole
    return whole


def said(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that were said, without those that count and judge."""
    judged = ("chunks", "has_token", "terminal", "failed", "facts_only")
    return {n: v for n, v in facts.items() if v is not None and n not in judged}
