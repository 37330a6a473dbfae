"""Instants as people write them: `7d` ago, a date, an ISO instant, a datetime."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

When = datetime | date | timedelta | str
"""An instant: a datetime with its zone, a date (its midnight, UTC), or how long ago."""

_AGO = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def period(
    since: When | None, until: When | None, *, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """[since, until) in UTC, None for no bound; ValueError where it ends before it begins."""
    first, end = bounds(since, until, now=now)
    if first is not None and end is not None and end < first:
        raise ValueError(f"until {end:%Y-%m-%d %H:%M} is before since {first:%Y-%m-%d %H:%M} (UTC)")
    return first, end


def bounds(
    since: When | None, until: When | None, *, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Both in UTC, whichever is first; None for no bound."""
    return (
        None if since is None else instant(since, now=now),
        None if until is None else instant(until, now=now),
    )


def instant(when: When, *, now: datetime) -> datetime:
    """The instant in UTC; ValueError where a datetime has no zone or a text is not understood.

    Text is `30m`, `24h`, `7d` or `2w` (before `now`), an ISO date or an ISO instant; a text
    without a zone is UTC.
    """
    if isinstance(when, str):
        when = _read(when.strip())
    if isinstance(when, timedelta):
        return now.astimezone(UTC) - when
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError(f"{when!r} has no time zone: say which, for instance tzinfo=UTC")
        return when.astimezone(UTC)
    if isinstance(when, date):
        return datetime.combine(when, time(), tzinfo=UTC)
    raise TypeError(f"{when!r} is no instant: give a datetime, a date, a timedelta or a text")


def _read(text: str) -> datetime | timedelta:
    if ago := _AGO.fullmatch(text):
        try:
            return timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is longer ago than there are dates") from None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no instant: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T12:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
