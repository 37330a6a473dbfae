"""Headers by name, and how long an answer asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from tachograph.core.headers import RETRY_AFTER, Wanted, retry_after_seconds


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
    named = Wanted(*RETRY_AFTER).among(
        (name.encode(), value.encode()) for name, value in headers.items()
    )
    assert retry_after_seconds(named) == seconds


def test_what_is_wanted_of_a_head() -> None:
    wanted = Wanted(b"content-type", b"x-provider-name")
    head = [
        (b"Content-Type", b"application/json"),
        (b"Set-Cookie", b"secret"),
        (b"X-PROVIDER-Name", b"NextBit"),
        (b"x-provider-name", b"Fireworks"),
    ]
    for _ in range(2):  # the second time the names are known
        assert wanted.among(head) == {
            b"content-type": b"application/json",
            b"x-provider-name": b"NextBit,Fireworks",
        }
    assert wanted.among([]) == {}


def test_a_sender_who_invents_names_of_headers_fills_no_memory() -> None:
    wanted = Wanted(b"content-type")
    for n in range(10_000):
        wanted.among([(b"X-%d" % n, b"value")])
    assert len(wanted._written) <= 4096
    assert wanted.among([(b"content-TYPE", b"text/plain")]) == {b"content-type": b"text/plain"}


def test_a_date_to_wait_for() -> None:
    far = format_datetime(datetime(2200, 1, 1, tzinfo=UTC), usegmt=True).encode()
    assert (retry_after_seconds({b"retry-after": far}) or 0) > 1e9
