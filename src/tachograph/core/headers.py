"""The headers of a response, by name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from time import time


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Values by names in lower case; those of one name are joined by commas, as HTTP has it."""
    named: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        named[lower] = value if lower not in named else named[lower] + b"," + value
    return named


def retry_after_seconds(header: str) -> float | None:
    """Seconds of a Retry-After header, which may also be a date; None for anything else."""
    try:
        seconds = float(header)
    except ValueError:
        pass
    else:
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        return max(parsedate_to_datetime(header).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return None
