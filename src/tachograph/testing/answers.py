"""An answer as a list of steps: bytes to send, pauses, and the ways a connection can fail.

Each piece of bytes leaves as one HTTP chunk, so no read of the client spans two of them: the cuts
are the test's own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Literal

import msgspec

from tachograph.testing.encodings import Coding, compressor

PROCESSING = ": OPENROUTER PROCESSING\n\n"
"""The comment that OpenRouter sends in a stream while the provider works."""

KEEP_ALIVE = b"\n         \n"
"""The whitespace that OpenRouter sends before a JSON body while the provider works."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""JSON whose decimals keep their digits."""


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds in which nothing is sent."""

    seconds: float


class Hold:
    """The server stops here until `release()`; `reached` is set when it has come so far."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self) -> None:
        self.reached.set()
        self._released.wait()


class End(Enum):
    """The connection ends here: orderly, or with a TCP reset."""

    CLOSE = "close"
    RESET = "reset"


CLOSE = End.CLOSE
RESET = End.RESET

Step = bytes | Pause | Hold | End


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. Every method gives a new one.

    The head leaves with the first piece of bytes; `b""` sends the head alone, and what comes
    before it happens while the client still waits for the head. `framing` is how the body's end is
    told: OpenRouter's own chunks, a Content-Length, or the end of the connection.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    framing: Literal["chunked", "length", "close"] = "chunked"

    @classmethod
    def json(
        cls, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A JSON answer; the id of the body, if any, is also in `X-Generation-Id`."""
        return cls(
            status,
            {"Content-Type": "application/json", **_generation_id([body]), **(headers or {})},
            (encode(body),),
        )

    @classmethod
    def sse(cls, events: Iterable[Any], *, headers: Mapping[str, str] | None = None) -> Answer:
        """An event stream, one piece an event: see `sse`."""
        events = list(events)
        return cls(
            200,
            {
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                **_generation_id(events),
                **(headers or {}),
            },
            sse(events),
        )

    @property
    def body(self) -> bytes:
        """The bytes that the steps send."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        return replace(self, headers={**self.headers, **headers})

    def at(self, offset: int, *steps: Step) -> Answer:
        """With these steps after so many bytes of the body; a cut there when there are none."""
        if not 0 <= offset <= len(self.body):
            raise ValueError(f"the body has {len(self.body)} bytes, so none after {offset}")
        before: list[Step] = []
        after = list(self.steps)
        while offset:
            step = after.pop(0)
            if not isinstance(step, bytes):
                before.append(step)
                continue
            taken, rest = step[:offset], step[offset:]
            before.append(taken)
            after[:0] = [rest] if rest else []
            offset -= len(taken)
        return replace(self, steps=(*before, *steps, *after))

    def cut(self, *offsets: int) -> Answer:
        """Cut anew into pieces that end at these bytes of the body; other steps are left out."""
        body = self.body
        places = [0, *sorted(offsets), len(body)]
        pieces = (body[a:b] for a, b in pairwise(places))
        return replace(self, steps=tuple(piece for piece in pieces if piece))

    def cut_every(self, size: int) -> Answer:
        """Cut anew into pieces of this many bytes."""
        return self.cut(*range(size, len(self.body), size))

    def spaced(self, *seconds: float) -> Answer:
        """With a pause before each piece; the last of the numbers goes for all that follow."""
        pauses = iter(seconds)
        last = 0.0
        steps: list[Step] = []
        for step in self.steps:
            if isinstance(step, bytes):
                last = next(pauses, last)
                steps.append(Pause(last))
            steps.append(step)
        return replace(self, steps=tuple(steps))

    def kept_alive(self, times: int = 1) -> Answer:
        """With OpenRouter's sign of life before the body: comments in a stream, else whitespace."""
        streams = "event-stream" in self.headers.get("Content-Type", "")
        sign = PROCESSING.encode() if streams else KEEP_ALIVE
        return replace(self, steps=(sign,) * times + self.steps)

    def encoded(self, coding: Coding) -> Answer:
        """Compressed piece by piece, each flushed; offsets then count compressed bytes."""
        compress = compressor(coding)
        steps = [compress.piece(s) if isinstance(s, bytes) else s for s in self.steps]
        headers = {**self.headers, "Content-Encoding": coding}
        return replace(self, steps=(*steps, compress.end()), headers=headers)


def sse(events: Iterable[Any], *, newline: str = "\n") -> tuple[bytes, ...]:
    """Server-sent events as bytes, one piece each.

    A string that begins with a colon is a comment and stands as it is, any other string is an
    event's data (`"[DONE]"`), all else is sent as JSON.
    """
    pieces = []
    for event in events:
        if isinstance(event, str):
            text = event if event.startswith(":") else f"data: {event}\n\n"
        else:
            text = f"data: {encode(event).decode()}\n\n"
        pieces.append(text.replace("\n", newline).encode())
    return tuple(pieces)


def _generation_id(bodies: Iterable[Any]) -> dict[str, str]:
    ids = (body.get("id") for body in bodies if isinstance(body, dict))
    found = next((i for i in ids if isinstance(i, str) and i.startswith("gen-")), None)
    return {"X-Generation-Id": found} if found else {}
