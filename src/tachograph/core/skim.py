"""A large JSON text made small while it passes by: its shape, its keys, its short values.

Long strings (images, speech, long answers) become `"..."`, long runs of numbers (embeddings) are
left out, and what is nested deeper than any fact of ours is dropped. A member of the outermost
object that is large all the same (thousands of results) becomes `null`. What comes out is valid
JSON where what went in was, and is bounded however long the text is.
"""

from __future__ import annotations

import re

STRING_BYTES = 2048
"""Strings up to this length are kept."""
RUN_BYTES = 64
"""Runs of numbers, literals, commas and white space up to this length are kept."""
DEPTH = 5
"""Containers nested deeper lose what is in them."""
MEMBER_BYTES = 128 * 1024
"""What is kept of one member of the outermost object at the most."""
KEPT_BYTES = 256 * 1024
"""What is kept at the most; a text that needs more is given up."""

_PLAIN = re.compile(rb'[^"\\]*')
_RUN = re.compile(rb'[^"\[\]{}]*')
_OPENING = frozenset(b"[{")
_QUOTE = ord('"')


class Skim:
    """Feed it the pieces of one JSON text, then take `result()`."""

    __slots__ = (
        "_depth",
        "_escaped",
        "_in_string",
        "_kept",
        "_member",
        "_passing",
        "_size",
        "_token",
    )

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._size = 0
        self._token = bytearray()  # of the string or run that is being read
        self._in_string = False
        self._escaped = False
        self._depth = 0
        self._member = (0, 0)  # where the member that is being read began: tokens, bytes
        self._passing = False  # that member is too large: what is left of it goes by

    def feed(self, piece: bytes) -> None:
        at, end = 0, len(piece)
        while at < end:
            at = self._string(piece, at) if self._in_string else self._outside(piece, at)

    def result(self) -> bytes | None:
        """The small text; None when even that was too large."""
        self._end_run()
        return b"".join(self._kept) if self._size <= KEPT_BYTES else None

    def _outside(self, piece: bytes, at: int) -> int:
        match = _RUN.match(piece, at)
        assert match is not None
        stop = match.end()
        self._gather(piece, at, stop, RUN_BYTES)
        if stop == len(piece):
            return stop
        self._end_run()
        mark = piece[stop]
        if mark == _QUOTE:
            self._in_string = True
        elif mark in _OPENING:
            if self._depth == 1:
                self._member = len(self._kept), self._size
            if self._depth < DEPTH:
                self._keep(piece[stop : stop + 1])
            elif self._depth == DEPTH:
                self._keep(b"0")
            self._depth += 1
        else:
            self._depth -= 1
            if self._depth < DEPTH:
                self._keep(piece[stop : stop + 1])
            if self._depth <= 1:
                self._passing = False
        return stop + 1

    def _string(self, piece: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            self._gather(piece, at, at + 1, STRING_BYTES)
            return at + 1
        match = _PLAIN.match(piece, at)
        assert match is not None
        stop = match.end()
        self._gather(piece, at, stop, STRING_BYTES)
        if stop == len(piece):
            return stop
        if piece[stop] == _QUOTE:
            self._in_string = False
            long = len(self._token) > STRING_BYTES
            if self._depth <= DEPTH:
                self._keep(b'"..."' if long else b'"%b"' % bytes(self._token))
            self._token.clear()
        else:
            self._escaped = True
            self._gather(piece, stop, stop + 1, STRING_BYTES)
        return stop + 1

    def _gather(self, piece: bytes, at: int, stop: int, limit: int) -> None:
        """Takes one byte more than the limit at most, which tells that it was passed."""
        room = limit + 1 - len(self._token)
        if room > 0:
            self._token += piece[at : min(stop, at + room)]

    def _end_run(self) -> None:
        if self._in_string:
            return
        if len(self._token) <= RUN_BYTES and self._depth <= DEPTH:
            self._keep(bytes(self._token))
        self._token.clear()

    def _keep(self, token: bytes) -> None:
        if self._passing:
            return
        self._size += len(token)
        tokens, size = self._member
        if self._depth > 1 and self._size - size > MEMBER_BYTES:
            self._passing = True
            del self._kept[tokens:]
            self._size = size
            token = b"null"
        if self._size <= KEPT_BYTES:
            self._kept.append(token)
        else:
            self._kept.clear()
