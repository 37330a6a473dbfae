"""Text from outside as people can be shown it: in one line, and with nothing that acts unseen.

A terminal obeys escape sequences, marks of direction turn round what comes after them, and SVG
cannot hold control characters at all. What programs read (JSON, CSV, Parquet) stays as it is.
"""

from __future__ import annotations

import re

LINES = "[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+"
"""What ends a line or jumps within one: shown as a space."""
UNSEEN = (
    "[\0-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ufff9-\ufffb\ufffe\uffff]"
)
"""Control characters and marks of direction: shown as REPLACEMENT."""
REPLACEMENT = "\ufffd"

_LINES, _UNSEEN = re.compile(LINES), re.compile(UNSEEN)


def legible(text: str) -> str:
    """The text in one line, each character of it seen."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(REPLACEMENT, _LINES.sub(" ", text))
