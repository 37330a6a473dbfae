"""Headers by name, and how long an answer asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from tachograph.core.headers import by_name, retry_after_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After-Ms": "250"}, 0.25),
        ({"Retry-After": "1", "retry-after-ms": "250.5"}, 0.2505),
        ({"Retry-After": "1", "retry-after-ms": "soon"}, 1.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": format_datetime(datetime(2000, 1, 1, tzinfo=UTC), usegmt=True)}, 0.0),
    ],
    ids=repr,
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    named = by_name((name.encode(), value.encode()) for name, value in headers.items())
    assert retry_after_seconds(named) == seconds


def test_a_date_to_wait_for() -> None:
    far = format_datetime(datetime(2200, 1, 1, tzinfo=UTC), usegmt=True).encode()
    assert (retry_after_seconds({b"retry-after": far}) or 0) > 1e9
