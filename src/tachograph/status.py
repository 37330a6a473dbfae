"""What became of the calls of one recorder."""

from __future__ import annotations

from typing import NamedTuple


class Status(NamedTuple):
    """The ledger: made = stored + waiting + the sum of dropped."""

    made: int
    """Calls that ended."""
    stored: int
    waiting: int
    dropped: dict[str, int]
    """By reason."""
    in_flight: int
    """Calls that have not ended."""
    journal_bytes: int
