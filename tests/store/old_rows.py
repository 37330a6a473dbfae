"""Rows of every table as an older revision has them, and what is in a database now.

Tables are read from the database itself, since the code knows only the newest.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from tachograph.core.ids import uuid7
from tachograph.store.database import write_transaction

BEGAN_US = 1_793_534_400_000_000
"""Noon of 2026-11-01."""
MONTH_US = 31 * 24 * 3600 * 1_000_000

Rows = dict[str, list[tuple[Any, ...]]]


def fill(engine: sa.Engine, number: int) -> None:
    """So many calls, over four months, and a few rows in each of the other tables."""
    with write_transaction(engine) as connection:
        for table in _tables(connection):
            rows = [_row(table, n, number) for n in range(number if table.name == "calls" else 5)]
            connection.execute(table.insert(), rows)


def rows_of(engine: sa.Engine, columns: dict[str, list[str]] | None = None) -> Rows:
    """All rows of all tables, in their order; of these columns where they are named."""
    with engine.connect() as connection:
        found = {}
        for table in _tables(connection):
            if columns is not None and table.name not in columns:
                continue
            names = columns[table.name] if columns is not None else [c.name for c in table.columns]
            query = sa.select(*(table.c[name] for name in names))
            rows = connection.execute(query.order_by(*table.primary_key)).all()
            found[table.name] = [tuple(row) for row in rows]
    return found


def columns_of(engine: sa.Engine) -> dict[str, list[str]]:
    """The names of the columns of each table."""
    with engine.connect() as connection:
        return {table.name: [c.name for c in table.columns] for table in _tables(connection)}


def _tables(connection: sa.Connection) -> list[sa.Table]:
    names = sorted(sa.inspect(connection).get_table_names())
    ours = [n for n in names if n != "alembic_version" and not n.startswith("calls_")]
    return [sa.Table(name, sa.MetaData(), autoload_with=connection) for name in ours]


def _row(table: sa.Table, number: int, of: int) -> dict[str, Any]:
    """Every other column that may be null is."""
    return {
        column.name: None if column.nullable and (at + number) % 2 else _value(column, number, of)
        for at, column in enumerate(table.columns)
    }


def _value(column: sa.Column[Any], number: int, of: int) -> Any:
    kind = column.type
    made = uuid7(BEGAN_US + number * 4 * MONTH_US // of)[:12] + number.to_bytes(4)
    if isinstance(kind, sa.Uuid):
        return UUID(bytes=made)
    if column.name in ("id", "call_id", "operation_id") and isinstance(kind, sa.LargeBinary):
        return made
    if isinstance(kind, sa.LargeBinary):
        return bytes((number % 256,)) * 8 + number.to_bytes(8)
    if isinstance(kind, sa.Boolean):
        return bool(number % 2)
    if isinstance(kind, sa.BigInteger):
        return (1 << 62) + number if column.name.endswith("_picousd") else BEGAN_US + number
    if isinstance(kind, sa.Integer):
        return number % 100 + 1
    if isinstance(kind, sa.Float):
        return number / 7
    if column.name in ("tags", "parameters", "usage_extra", "dropped", "overrides"):
        return '{"a":1}'
    return f"{column.name} {number} \N{SNOWMAN}"
