"""Bytes that pass by -> what an answer says. A fed state machine that never raises.

What it keeps is bounded: a stream's events are read as they come, and a body longer than
BODY_BYTES is skimmed. Who can read the answer's members is handed in as `reader`.
"""

from __future__ import annotations

from typing import Protocol

from tachograph.core.decoding import Decoder, UndecodableError
from tachograph.core.likeness import Likeness, is_plain
from tachograph.core.skim import Skim
from tachograph.core.sse import EventStream

BODY_BYTES = 256 * 1024

_BINARY = ("audio/", "image/", "video/")
_UNSAID = "application/octet-stream"
_MARK = b"\xef\xbb\xbf"
_EVENTS = (b"data:", b"event:", b":", b"id:", b"retry:")
_BEGINNINGS = (_MARK, *_EVENTS)


class Reader(Protocol):
    """Reads the members of an answer."""

    chunks: int

    @property
    def facts_only(self) -> bool:
        """Events that differ in content alone say the same to it."""
        ...

    @property
    def has_token(self) -> bool: ...

    def event(self, data: bytes) -> None: ...

    def body(self, data: bytes) -> None: ...


class Capture:
    """Fed with the head and the pieces of one response body."""

    response_bytes: int = 0
    """As they came over the wire."""
    first_token_ns: int | None = None
    undecodable: str | None = None
    """Why the bytes could not be read, where they could not."""
    binary: bool = False
    """Audio, images: there is nothing to read, and nothing is kept."""
    _decoder: Decoder | None = None
    _events: EventStream | None = None
    _skim: Skim | None = None
    _kept_bytes: int = 0
    _finished: bool = False
    _unsaid: bool = False
    _begun: bool = False
    _held: bytes = b""
    """The beginning, where it is too short to tell what it begins."""
    _likeness: Likeness | None = None
    """Where what is the same again need not be read again."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._kept: list[bytes] = []

    def head(self, content_type: str, content_encoding: str) -> None:
        """What the response's head says of the body."""
        kind = content_type.lower()
        if kind.startswith("text/event-stream"):
            self._events = EventStream()
        self.binary = kind.startswith(_BINARY)
        self._unsaid = kind.startswith(_UNSAID)
        if content_encoding and content_encoding != "identity" and not self.binary:
            try:
                self._decoder = Decoder(content_encoding)
            except UndecodableError as exc:
                self.undecodable = str(exc)

    @property
    def streamed(self) -> bool:
        """The answer is an event stream."""
        return self._events is not None

    def feed(self, piece: bytes, now_ns: int) -> None:
        """Takes the next piece as it came over the wire."""
        self.response_bytes += len(piece)
        if self._decoder is None:
            if self._events is None or not self._begun:
                self._plain(piece, now_ns)
                return
            # the hot path: most pieces are one event that brings content and nothing else
            reader, likeness = self.reader, self._likeness
            if likeness is None:
                self._read_events(self._events, piece, now_ns)
                if self.first_token_ns is not None and reader.facts_only:
                    self._likeness = Likeness()
            elif (
                (head := likeness.head)
                and piece.startswith(head)
                and piece.endswith(tail := likeness.tail)
                and is_plain(piece, len(head), len(piece) - len(tail))
                and self._events.at_rest
            ):
                reader.chunks += 1
            else:
                before = reader.chunks
                self._read_events(self._events, piece, now_ns)
                if reader.chunks == before + 1 and self._events.at_rest:
                    likeness.learn(piece)
        elif self.undecodable is None:
            try:
                for part in self._decoder.feed(piece):
                    self._plain(part, now_ns)
            except UndecodableError as exc:
                self.undecodable = str(exc)

    def finish(self) -> None:
        """No more will come: reads what was kept until the end."""
        if self._finished or self.undecodable is not None:
            return
        self._finished = True
        if self._held:
            self._begun = True
            held, self._held = self._held, b""
            self._plain(held, 0)
        if self._events is not None:
            for event in self._events.finish():
                self.reader.event(event)
        elif self._skim is not None:
            skimmed = self._skim.result()
            if skimmed is not None:
                self.reader.body(skimmed)
        elif self._kept:
            body = self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)
            self.reader.body(body.removeprefix(_MARK))
        self._kept.clear()

    def _look(self, piece: bytes) -> None:
        """What the first bytes say counts more than the head: servers err in it, and clients read
        what they asked for."""
        start = piece.removeprefix(_MARK).lstrip()
        if not start:
            return
        is_json = start.startswith((b"{", b"["))
        if not is_json and any(word.startswith(start) and word != start for word in _BEGINNINGS):
            self._held = piece  # the first word has been cut in two
            return
        self._begun = True
        if self.binary:
            return
        if is_json:
            self._events = None
        elif start.startswith(_EVENTS):
            self._events = self._events or EventStream()
        elif self._unsaid:
            self.binary = True

    def _read_events(self, events: EventStream, piece: bytes, now_ns: int) -> None:
        reader = self.reader
        for event in events.feed(piece):
            reader.event(event)
        if self.first_token_ns is None and reader.has_token:
            self.first_token_ns = now_ns

    def _plain(self, piece: bytes, now_ns: int) -> None:
        if not self._begun:
            piece, self._held = self._held + piece, b""
            self._look(piece)
            if self._held:
                return
        if self._events is not None:
            self._read_events(self._events, piece, now_ns)
        elif self._skim is not None:
            self._skim.feed(piece)
        elif not self.binary and self.undecodable is None:
            self._kept.append(piece)
            self._kept_bytes += len(piece)
            if self._kept_bytes > BODY_BYTES:
                self._skim = Skim()
                for earlier in self._kept:
                    self._skim.feed(earlier)
                self._kept.clear()
