"""Instants as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from tachograph.analytics.periods import When, instant, period

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=5))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("7d", datetime(2026, 11, 13, 12, tzinfo=UTC)),
        ("24h", datetime(2026, 11, 19, 12, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 20, 11, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 6, 12, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00:00.000001+05:00", datetime(2026, 11, 1, 7, 0, 0, 1, tzinfo=UTC)),
        (date(2026, 11, 1), datetime(2026, 11, 1, tzinfo=UTC)),
        (timedelta(days=1), datetime(2026, 11, 19, 12, tzinfo=UTC)),
        (datetime(2026, 11, 1, 12, tzinfo=EAST), datetime(2026, 11, 1, 7, tzinfo=UTC)),
    ],
)
def test_forms(written: When, meant: datetime) -> None:
    found = instant(written, now=NOW)
    assert found == meant
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "d", "7y", "-7d", "2026-13-01", "9" * 30 + "d"]
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"instant|longer ago"):
        instant(text, now=NOW)


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        instant(datetime(2026, 11, 1), now=NOW)


def test_a_number_is_no_instant() -> None:
    with pytest.raises(TypeError, match="7 is no instant: give a datetime"):
        instant(7, now=NOW)  # type: ignore[arg-type]


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    day = timedelta(days=1)
    assert period("2d", "1d", now=NOW) == (NOW - 2 * day, NOW - day)
    assert period("1d", "1d", now=NOW) == (NOW - day, NOW - day)
    assert period(None, "1d", now=NOW) == (None, NOW - day)
    with pytest.raises(ValueError, match="until 2026-11-18 12:00 is before since 2026-11-19 12:00"):
        period("1d", "2d", now=NOW)
