"""Server-sent events out of bytes that are cut anywhere.

Follows the WHATWG description of event streams (lines end in LF, CR or CRLF; a blank line ends an
event; its `data` lines are joined by LF; other fields and comments are passed over), with one
leniency: an event that the end of the stream cuts off from its blank line still counts.
"""

from __future__ import annotations

from tachograph.core.skim import Skim

LINE_BYTES = 256 * 1024
"""A longer line (an image) is skimmed while it passes."""


_LF, _CR = b"\n\r"


class EventStream:
    """Fed with bytes, gives the data of each event that they complete."""

    __slots__ = ("_after_cr", "_data", "_line", "_line_bytes", "_skim", "_started", "at_rest")

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of the line that is being read
        self._line_bytes = 0
        self._skim: Skim | None = None  # takes the pieces' place in a line that is too long
        self._data: list[bytes] = []  # data lines of the event that is being read
        self._after_cr = False
        self._started = False
        self.at_rest = True  # nothing of an event or a line is held

    def feed(self, piece: bytes) -> list[bytes]:
        # As servers send them: whole events of one data line each, most often one.
        if self.at_rest and piece.startswith(b"data: ") and piece.endswith(b"\n\n"):
            event = piece[6:-2]
            if _LF not in event and _CR not in event:
                return [event]
            events = event.split(b"\n\ndata: ")
            if _CR not in event and event.count(b"\n") == 2 * len(events) - 2:
                return events
        return self._lines(piece)

    def finish(self) -> list[bytes]:
        """The event that the end of the stream left without its blank line, if any."""
        events: list[bytes] = []
        if self._line_bytes:
            self._end_line(b"", events)
        self._end_line(b"", events)
        return events

    def _lines(self, piece: bytes) -> list[bytes]:
        if self._after_cr:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        events: list[bytes] = []
        for line in piece.splitlines(keepends=True):
            body = line.rstrip(b"\r\n")
            if len(body) == len(line):
                self._gather(line)
            else:
                self._end_line(body, events)
        self._after_cr = piece.endswith(b"\r")
        self.at_rest = not (self._line_bytes or self._data or self._after_cr)
        return events

    def _gather(self, part: bytes) -> None:
        self._line_bytes += len(part)
        if self._skim is not None:
            self._skim.feed(part)
            return
        self._line.append(part)
        if self._line_bytes > LINE_BYTES:
            self._skim = Skim()
            for earlier in self._line:
                self._skim.feed(earlier)
            self._line.clear()

    def _end_line(self, rest: bytes, events: list[bytes]) -> None:
        if self._line_bytes:
            self._gather(rest)
            line = b"".join(self._line) if self._skim is None else self._skim.result() or b""
            self._line.clear()
            self._line_bytes = 0
            self._skim = None
        else:
            line = rest
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")  # a mark is no part of the first line
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            self._data.append(b"")
