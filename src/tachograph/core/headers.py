"""What headers say: those that are wanted, the wait that was asked for, the key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import AnyStr

_MOST = 4096

RETRY_AFTER = (b"retry-after-ms", b"retry-after")
"""What `retry_after_seconds` reads."""


class Wanted:
    """Headers of these names (in lower case), to be found among all that a head has.

    How senders write a name is remembered, since they write it in the same way each time.
    """

    def __init__(self, *names: bytes) -> None:
        self._names = frozenset(names)
        self._written: dict[bytes, bytes | None] = {}  # None: not wanted

    def among(self, headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Values by names in lower case; those of one name are joined by commas, as HTTP has it."""
        found: dict[bytes, bytes] = {}
        written = self._written
        for name, value in headers:
            try:
                wanted = written[name]
            except KeyError:
                wanted = self._learn(name)
            if wanted is not None:
                found[wanted] = value if wanted not in found else found[wanted] + b"," + value
        return found

    def _learn(self, name: bytes) -> bytes | None:
        if len(self._written) >= _MOST:
            self._written.clear()
        lower = name.lower()
        wanted = self._written[name] = lower if lower in self._names else None
        return wanted


def credential(header: AnyStr) -> AnyStr:
    """The key in an `Authorization` or `x-api-key` header, without its scheme; empty for none."""
    words = header.split()
    return words[-1] if words else header[:0]


def retry_after_seconds(named: Mapping[bytes, bytes]) -> float | None:
    """What `retry-after-ms`, else `retry-after` asks to wait; None where neither can be read."""
    milliseconds = _number(named.get(b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = named.get(b"retry-after")
    seconds = _number(stated)
    if seconds is not None or stated is None:
        return seconds
    try:
        return max(parsedate_to_datetime(stated.decode("latin-1")).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _number(value: bytes | None) -> float | None:
    try:
        number = -1.0 if value is None else float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
