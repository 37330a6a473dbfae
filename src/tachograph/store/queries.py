"""The selects over `calls`, and the conditions that may narrow them.

Columns go by the names that people use (`started_at`, `billed_usd`); values are in the form that
is stored: instants are microseconds, money is pico-dollars, ids are bytes. A condition means the
same on SQLite and PostgreSQL, NULL included, so that it can be negated and combined.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tachograph.core.ids import uuid7_floor
from tachograph.store.column_types import Id, Instant, Money
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import SQLCompiler

Condition = sa.ColumnElement[bool]
Statement = sa.Select[Any]


class Kind(StrEnum):
    """What a column holds, and so which conditions it takes."""

    ID = "id"
    BYTES = "bytes"
    TEXT = "text"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT = "float"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    MONEY = "money"


@dataclass(frozen=True)
class StoredColumn:
    """One column of `calls`: its name in frames, its kind, and what it means."""

    name: str
    kind: Kind
    doc: str
    column: sa.Column[Any]


_KINDS: dict[type[Any], Kind] = {
    Id: Kind.ID,
    sa.LargeBinary: Kind.BYTES,
    sa.Text: Kind.TEXT,
    sa.SmallInteger: Kind.INT16,
    sa.Integer: Kind.INT32,
    sa.BigInteger: Kind.INT64,
    sa.Double: Kind.FLOAT,
    sa.Boolean: Kind.BOOLEAN,
    Instant: Kind.INSTANT,
    Money: Kind.MONEY,
}


def _frame_name(column: sa.Column[Any]) -> str:
    if isinstance(column.type, Instant):
        return column.name.removesuffix("_us") + "_at"
    if isinstance(column.type, Money):
        return column.name.removesuffix("_picousd") + "_usd"
    return column.name


COLUMNS = {
    _frame_name(column): StoredColumn(
        _frame_name(column), _KINDS[type(column.type)], column.doc or "", column
    )
    for column in calls.columns
}
"""The columns of `calls` by their names in frames, in the order of the table."""


class _id_bytes(FunctionElement[bytes]):  # noqa: N801
    """An id as 16 bytes, also where the database has a type of its own for it."""

    type = sa.LargeBinary()
    inherit_cache = True


@compiles(_id_bytes)
def _as_stored(element: _id_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(_id_bytes, "postgresql")
def _sent(element: _id_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"uuid_send({compiler.process(element.clauses, **kw)})"


def _stored(name: str) -> sa.ColumnElement[Any]:
    """The column without the type that turns its values into Decimal or datetime."""
    stored = COLUMNS[name]
    if stored.kind in (Kind.INSTANT, Kind.MONEY, Kind.INT16, Kind.INT32):
        return sa.type_coerce(stored.column, sa.BigInteger)
    return stored.column


def select_calls(
    names: Sequence[str],
    where: Sequence[Condition] = (),
    *,
    limit: int | None = None,
    newest_first: bool = False,
    oldest_first: bool = False,
) -> Statement:
    """The named columns of the calls for which every condition holds."""
    chosen: list[sa.ColumnElement[Any]] = []
    for name in names:
        is_id = COLUMNS[name].kind is Kind.ID
        chosen.append((_id_bytes(COLUMNS[name].column) if is_id else _stored(name)).label(name))
    statement = sa.select(*chosen).where(*where)
    if newest_first:
        statement = statement.order_by(calls.c.id.desc())
    if oldest_first:
        statement = statement.order_by(calls.c.id)
    return statement if limit is None else statement.limit(limit)


def count_calls(where: Sequence[Condition], at_most: int) -> Statement:
    """How many calls these are, without counting further than asked."""
    some = sa.select(calls.c.id).where(*where).limit(at_most).subquery()
    return sa.select(sa.func.count()).select_from(some)


_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def compare(name: str, op: str, value: Any) -> Condition:
    """`<`, `<=`, `>`, `>=`, `==` or `!=` a value that is not null; null where the column is."""
    condition = cast(Condition, _COMPARE[op](_stored(name), value))
    if name == "started_at" and op != "!=":
        return sa.and_(condition, _ids_of(op, value))
    return condition


def _ids_of(op: str, instant_us: int) -> Condition:
    """The same range of time as a range of ids, which is what the primary key can seek."""
    at, after = uuid7_floor(instant_us), uuid7_floor(instant_us + 1)
    ranges: dict[str, Condition] = {
        "<": calls.c.id < at,
        "<=": calls.c.id < after,
        ">": calls.c.id >= after,
        ">=": calls.c.id >= at,
        "==": sa.and_(calls.c.id >= at, calls.c.id < after),
    }
    return ranges[op]


def same(name: str, value: Any) -> Condition:
    """Equal to a value, where null is false instead of null."""
    return _stored(name).is_not_distinct_from(value)


def any_of(name: str, values: Sequence[Any]) -> Condition:
    """Equal to one of the values, none of them null, and at least one."""
    return _stored(name).in_(values)


def is_null(name: str) -> Condition:
    """Not known."""
    return _stored(name).is_(None)


def is_true(name: str) -> Condition:
    """True; null where the column is."""
    return _stored(name) == sa.true()


def starts_with(name: str, text: str) -> Condition:
    """Begins with this text, case and all (LIKE would ignore the case in SQLite)."""
    return sa.func.substr(_stored(name), 1, len(text)) == text


class _position(FunctionElement[int]):  # noqa: N801
    """Where a text stands in another, from 1; 0 when it does not."""

    type = sa.Integer()
    inherit_cache = True


@compiles(_position)
def _instr(element: _position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(_position, "postgresql")
def _strpos(element: _position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


def contains(name: str, text: str) -> Condition:
    """Has this text somewhere, case and all."""
    return _position(_stored(name), sa.literal(text)) > 0


def of_operation(operation_id: bytes) -> Condition:
    """Of this operation: said so that the primary key and the index on the others can seek."""
    others = sa.and_(calls.c.operation_id == operation_id, calls.c.operation_id != calls.c.id)
    return sa.or_(calls.c.id == operation_id, others)


def negated(condition: Condition) -> Condition:
    """True where the condition is false; null where it is null."""
    return sa.not_(condition)


def both(left: Condition, right: Condition) -> Condition:
    """True where both are."""
    return sa.and_(left, right)


def either(left: Condition, right: Condition) -> Condition:
    """True where one of them is."""
    return sa.or_(left, right)


def uuid_text(text: str) -> bytes | None:
    """The bytes of an id as frames write it; None when the text is not exactly that."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found.bytes if str(found) == text else None
