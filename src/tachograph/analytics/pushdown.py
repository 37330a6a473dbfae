"""A polars predicate as a condition in SQL, as far as it can be said there.

polars applies the whole predicate again, so the condition may let through more rows than the
predicate, never fewer: what is not understood costs time, not truth. Only what keeps *exactly*
the same rows may be negated. The predicate is walked by polars' public API alone: `meta.pop`
gives the parts of a node, and `meta.eq` tells whether putting them together in a certain way
gives the node again.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import polars as pl

from tachograph.core.units import microseconds
from tachograph.store import queries
from tachograph.store.queries import COLUMNS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 2**63 - 1
LONGEST_LIST = 1000
"""Longer lists are left to polars: databases bound the values of a statement."""

_COMPARE: dict[str, Callable[[pl.Expr, Any], pl.Expr]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_ENDS = {"both": (">=", "<="), "left": (">=", "<"), "right": (">", "<="), "none": (">", "<")}

_WHOLE = (Kind.INT16, Kind.INT32, Kind.INT64, Kind.MONEY, Kind.INSTANT)
_ORDERED = (*_WHOLE, Kind.FLOAT, Kind.ID)


@dataclass(frozen=True)
class Pushed:
    """A condition, and whether it keeps exactly the rows that the predicate keeps."""

    condition: queries.Condition
    exact: bool = True


def pushed(predicate: pl.Expr) -> Pushed | None:
    """What of a predicate can be said in SQL; None when nothing can."""
    if predicate.meta.is_column():
        name = predicate.meta.output_name()
        return Pushed(queries.is_true(name)) if _kind(name) is Kind.BOOLEAN else None
    parts = predicate.meta.pop()[::-1]
    if len(parts) == 1:
        return _of_one(predicate, parts[0])
    if len(parts) == 2:
        return _of_two(predicate, *parts)
    if len(parts) == 3:
        return _between(predicate, *parts)
    return None


def _of_one(node: pl.Expr, part: pl.Expr) -> Pushed | None:
    if node.meta.eq(~part):
        inner = pushed(part)
        return Pushed(queries.negated(inner.condition)) if inner and inner.exact else None
    name = _column(part)
    if name is None:
        return None
    if node.meta.eq(part.is_null()):
        return Pushed(queries.is_null(name))
    if node.meta.eq(part.is_not_null()):
        return Pushed(queries.negated(queries.is_null(name)))
    return None


def _of_two(node: pl.Expr, left: pl.Expr, right: pl.Expr) -> Pushed | None:
    if node.meta.eq(left & right):
        one, other = pushed(left), pushed(right)
        if one and other:
            return Pushed(queries.both(one.condition, other.condition), one.exact and other.exact)
        either = one or other
        return either and Pushed(either.condition, exact=False)
    if node.meta.eq(left | right):
        one, other = pushed(left), pushed(right)
        if one and other:
            return Pushed(queries.either(one.condition, other.condition), one.exact and other.exact)
        return None
    for op, build in _COMPARE.items():
        if node.meta.eq(build(left, right)):
            if left.meta.is_literal():
                return _compare(right, _MIRRORED[op], left)
            return _compare(left, op, right)
    return _of_column(node, left, right)


def _of_column(node: pl.Expr, part: pl.Expr, argument: pl.Expr) -> Pushed | None:
    name = _column(part)
    if name is None or not argument.meta.is_literal():
        return None
    if node.meta.eq(part.is_in(argument)):
        return _any_of(name, _literal(argument))
    if _kind(name) is Kind.TEXT:
        text = _literal(argument)
        if node.meta.eq(part.str.starts_with(argument)) and _sendable(text):
            return Pushed(queries.starts_with(name, text))
        literally = node.meta.eq(part.str.contains(argument, literal=True))
        pattern = node.meta.eq(part.str.contains(argument))
        if _sendable(text) and (literally or (pattern and _plain(text))):
            return Pushed(queries.contains(name, text))
    value = _stored_value(name, _literal(argument))
    if value is None:
        return None
    if node.meta.eq(part.eq_missing(argument)):
        return Pushed(queries.same(name, value))
    if node.meta.eq(part.ne_missing(argument)):
        return Pushed(queries.negated(queries.same(name, value)))
    return None


def _between(node: pl.Expr, part: pl.Expr, low: pl.Expr, high: pl.Expr) -> Pushed | None:
    for closed, (above, below) in _ENDS.items():
        if node.meta.eq(part.is_between(low, high, closed=closed)):  # type: ignore[arg-type]
            one, other = _compare(part, above, low), _compare(part, below, high)
            if one and other:
                exact = one.exact and other.exact
                return Pushed(queries.both(one.condition, other.condition), exact)
            either = one or other
            return either and Pushed(either.condition, exact=False)
    return None


def _compare(part: pl.Expr, op: str, argument: pl.Expr) -> Pushed | None:
    if not argument.meta.is_literal():
        return None
    name, value = _column(part), _literal(argument)
    if name is None:
        return _compare_as_float(part, op, value)
    kind = _kind(name)
    if op in ("==", "!=") or kind in _ORDERED:
        if kind is Kind.MONEY and _is_number(value):
            return _compare_whole(name, op, Fraction(value) * 10**12)
        stored = _stored_value(name, value)
        return None if stored is None else Pushed(queries.compare(name, op, stored))
    return None


def _compare_whole(name: str, op: str, value: Fraction) -> Pushed | None:
    """A column of whole numbers against a value that may lie between two of them."""
    if value.denominator != 1:
        if op in ("==", "!="):
            return None
        op, value = (
            (">", Fraction(math.floor(value)))
            if op in (">", ">=")
            else ("<", Fraction(math.ceil(value)))
        )
    if abs(value) > LARGEST:
        return None
    return Pushed(queries.compare(name, op, int(value)))


def _compare_as_float(part: pl.Expr, op: str, value: Any) -> Pushed | None:
    """A column that polars casts to float first: the range is made wider than rounding errs."""
    name = _cast_column(part)
    if name is None or op == "!=" or not isinstance(value, float) or not math.isfinite(value):
        return None
    kind = _kind(name)
    if kind not in (Kind.INT16, Kind.INT32, Kind.INT64, Kind.MONEY):
        return None
    exactly = Fraction(value) * (10**12 if kind is Kind.MONEY else 1)
    slack = abs(exactly) / 2**40 + 1
    low, high = math.floor(exactly - slack), math.ceil(exactly + slack)
    if max(abs(low), abs(high)) > LARGEST:
        return None
    conditions = []
    if op in (">", ">=", "=="):
        conditions.append(queries.compare(name, ">=", low))
    if op in ("<", "<=", "=="):
        conditions.append(queries.compare(name, "<=", high))
    condition = conditions[0] if len(conditions) == 1 else queries.both(*conditions)
    return Pushed(condition, exact=False)


def _cast_column(part: pl.Expr) -> str | None:
    """The stored column that an expression casts to float, as polars itself casts or strictly."""
    inner = part.meta.pop()
    if len(inner) != 1:
        return None
    casts = (inner[0].cast(pl.Float64, strict=strict) for strict in (False, True))
    return _column(inner[0]) if any(part.meta.eq(cast) for cast in casts) else None


def _any_of(name: str, values: Any) -> Pushed | None:
    if not isinstance(values, list) or not 0 < len(values) <= LONGEST_LIST:
        return None
    stored = [_stored_value(name, value) for value in values]
    return None if None in stored else Pushed(queries.any_of(name, stored))


def _stored_value(name: str, value: Any) -> Any | None:
    """A value as the column stores it; None when it is null or cannot stand there."""
    kind = _kind(name)
    if kind is Kind.TEXT:
        return value if _sendable(value) else None
    if kind is Kind.ID:
        return queries.uuid_text(value) if isinstance(value, str) else None
    if kind is Kind.BYTES:
        return _hex_bytes(value)
    if kind is Kind.INSTANT:
        aware = isinstance(value, datetime) and value.tzinfo is not None
        return microseconds(value) if aware else None
    if kind is Kind.FLOAT:
        return value if isinstance(value, float) and math.isfinite(value) else None
    if kind is Kind.BOOLEAN:
        return value if isinstance(value, bool) else None
    if kind is Kind.MONEY and _is_number(value):
        whole = Fraction(value) * 10**12
        return int(whole) if whole.denominator == 1 and abs(whole) <= LARGEST else None
    if kind in _WHOLE and _is_number(value) and abs(value) <= LARGEST:
        return value
    return None


def _hex_bytes(value: Any) -> bytes | None:
    try:
        found = bytes.fromhex(value)
    except (TypeError, ValueError):
        return None
    return found if found.hex() == value else None


def _column(part: pl.Expr) -> str | None:
    """The stored column that an expression plainly is."""
    if not part.meta.is_column():
        return None
    name = part.meta.output_name()
    return name if name in COLUMNS else None


def _kind(name: str) -> Kind | None:
    return COLUMNS[name].kind if name in COLUMNS else None


def _literal(argument: pl.Expr) -> Any:
    found = pl.select(argument).to_series().to_list()
    return found[0] if len(found) == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _sendable(text: Any) -> bool:
    """Whether every database takes this text: no NUL."""
    return isinstance(text, str) and "\0" not in text


def _plain(pattern: str) -> bool:
    """Whether a regular expression means just its own letters."""
    return all(letter.isalnum() or letter in " _-/:,%" for letter in pattern)
