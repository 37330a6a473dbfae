"""Ranges of ids, which are ranges of time: what a condition leaves of them, and even parts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import operators

from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator

Range = tuple[int, int]
"""From the first, to before the second."""

ALL: Range = (0, 2**128 - 1)

_INDEXED = (calls.c.id, calls.c.session_id)


def range_of(condition: sa.ColumnElement[Any] | None) -> Range:
    """Where the ids lie of the calls that a condition lets through: as far as it says so."""
    low, high = ALL
    for part in _anded(condition):
        if not isinstance(part, sa.BinaryExpression) or part.left is not calls.c.id:
            continue
        if not isinstance(part.right, sa.BindParameter) or not isinstance(part.right.value, bytes):
            continue
        value = int.from_bytes(part.right.value)
        if part.operator in (operators.ge, operators.gt):
            low = max(low, value)
        elif part.operator in (operators.lt, operators.le):
            high = min(high, value + 1)
    return low, high


def _anded(condition: sa.ColumnElement[Any] | None) -> Iterator[sa.ColumnElement[Any]]:
    if isinstance(condition, sa.BooleanClauseList) and condition.operator is operators.and_:
        for part in condition.clauses:
            yield from _anded(part)
    elif condition is not None:
        yield condition


def by_an_index(condition: sa.ColumnElement[Any] | None) -> bool:
    """Whether an index finds these calls, so that few of the others are read."""
    equal = (operators.eq, operators.in_op, operators.is_not_distinct_from)
    return any(
        isinstance(part, sa.BinaryExpression)
        and part.operator in equal
        and any(part.left is column for column in _INDEXED)
        for part in _anded(condition)
    )


def parts_of(whole: Range, count: int) -> list[bytes]:
    """A range in so many even parts, each as the 32 bytes of its two ends."""
    low, high = whole
    cuts = [low + (high - low) * n // count for n in range(count)] + [high]
    return [one.to_bytes(16) + other.to_bytes(16) for one, other in pairwise(cuts)]
