"""Values as programs read them, and as people do.

A column's name tells its unit, and so how people see it: `_usd` is money, shown with as many
digits as the column needs to be true; `_seconds`, `_at`, `_rate`. In JSON and
CSV money is digits, an instant is ISO 8601 with `Z`, unknown is null (an empty field in CSV).
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from tachograph.core.legible import legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNKNOWN = "-"

_UNITS = ("_usd", "_seconds", "_rate", "share", "_tokens", "_per_second", "_bytes")
"""How the names of columns of numbers end."""


def plain(value: Any) -> Any:
    """A value as JSON has it: money as digits, instants with `Z`, not-a-number as null."""
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value


def flat(value: Any) -> Any:
    """A value in one field: true, lists and objects as in JSON."""
    if isinstance(value, bool | list | dict):
        return msgspec.json.encode(value).decode()
    return plain(value)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def digits(amount: Decimal, places: int = 0) -> str:
    """All digits of an amount, with at least so many after the point."""
    whole, _, fraction = format(amount, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


def counted(number: int, noun: str) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def column_cells(name: str, values: Sequence[Any]) -> list[Text]:
    """The values of one column as people see them, aligned to each other."""
    money = [digits(value) for value in values if isinstance(value, Decimal)]
    places = max((len(text.partition(".")[2]) for text in money), default=0)
    return [
        Text(UNKNOWN, style="dim") if value is None else Text(_words(name, value, max(places, 2)))
        for value in values
    ]


def are_numbers(name: str, values: Iterable[Any]) -> bool:
    """Whether a column is one of numbers; where no value is known, its unit tells."""
    known = [value for value in values if value is not None]
    return any(map(is_number, known)) if known else name.endswith(_UNITS)


def is_number(value: Any) -> bool:
    """True and false are none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _words(name: str, value: Any, places: int) -> str:
    if isinstance(value, Decimal):
        return digits(value, places)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return legible(", ".join(map(str, value)))
    if not is_number(value):
        return legible(str(plain(value)))
    if name.endswith(("_rate", "share")):
        return f"{value:.1%}"
    if name.endswith("_seconds"):
        return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.1f}"
    if name.endswith("_tokens"):
        return _rounded(value)
    if name.endswith("_per_second"):
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _rounded(number: int) -> str:
    """A large number in four digits or so: 12,345 and 123k and 1.23M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}" if number < 1000 * size else f"{number:.3g}"
    return f"{number / 1000:.0f}k" if abs(number) >= 100_000 else f"{number:,}"
