"""Knows an event of a stream again that differs from an earlier one in a piece of content alone.

Most events of a stream are the same but for one string. Where all bytes around that string are
those of an event that was read, and the string has neither quote nor escape, the event has the
same members with the same values: there is nothing to read in it.
"""

from __future__ import annotations

import re

_PLAIN = rb'[^"\\\x00-\x1f]'
_CONTENT = re.compile(
    rb'"(?:content|text|reasoning|thinking|arguments|partial_json)": ?"(' + _PLAIN + rb'+)"'
)
# What counts is who said it last, so an event with one of these is read each time that it comes.
_SAYS_MORE = re.compile(
    rb'"(?:native_finish_reason|finish_reason|usage|error|error_type|openrouter_metadata)": ?[^n ]'
)
_LONGEST_PAUSE = 64

is_plain = re.compile(_PLAIN + rb"*").fullmatch
"""Whether a part of a JSON string has neither quote nor escape nor line end."""


class Likeness:
    """What surrounds the content of the events of one stream."""

    __slots__ = ("_misses", "_pause", "head", "tail")

    def __init__(self) -> None:
        self.head = b""
        """An event with this before its content, and `tail` behind; empty: none is known."""
        self.tail = b""
        self._misses = 0
        self._pause = 1

    def learn(self, piece: bytes) -> None:
        """Takes a piece that was read as one event for the pattern of those that follow.

        Where one after the other differs (reasoning that is sent twice in an event, a number that
        grows) it looks at fewer and fewer of them.
        """
        self._misses += 1
        if self._misses < self._pause:
            return
        self._misses = 0
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        if _SAYS_MORE.search(piece) is not None:
            return
        found = _CONTENT.search(piece)
        if found is not None and piece.startswith(b"data: {") and piece.endswith(b"}\n\n"):
            self.head, self.tail = piece[: found.start(1)], piece[found.end(1) :]
