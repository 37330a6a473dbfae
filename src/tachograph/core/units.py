"""Money and instants as the whole numbers that are stored: pico-dollars and microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

PICO = Decimal("1E-12")
"""The finest money that is stored: 10^-12 USD."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pico(usd: Decimal) -> int:
    """Pico-dollars of an amount in USD; ValueError when it is finer than one."""
    scaled = usd.scaleb(12)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{usd} USD is finer than {PICO} USD, the finest money that is stored")
    return whole


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 UTC; ValueError when the instant names no time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone: say which, for instance tzinfo=UTC")
    return (instant - EPOCH) // timedelta(microseconds=1)


def from_microseconds(us: int) -> datetime:
    """The instant so many microseconds after 1970 UTC."""
    return EPOCH + timedelta(microseconds=us)
