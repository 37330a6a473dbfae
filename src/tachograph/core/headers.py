"""What headers say: by name, the wait that was asked for, the key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import AnyStr


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Values by names in lower case; those of one name are joined by commas, as HTTP has it."""
    pairs = list(headers)
    named = {name.lower(): value for name, value in pairs}
    if len(named) == len(pairs):  # as nearly always
        return named
    named = {}
    for name, value in pairs:
        lower = name.lower()
        named[lower] = value if lower not in named else named[lower] + b"," + value
    return named


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
