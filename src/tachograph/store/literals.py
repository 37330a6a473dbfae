"""A statement as text with its values in it, for drivers that take no parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.visitors import replacement_traverse

from tachograph.store.column_types import Id

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


def text_of(statement: sa.Select[Any], dialect_name: str) -> str:
    """The statement as that database takes it; text is quoted as the SQL standard says."""
    # a paramstyle that leaves percent signs alone
    dialects = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}
    dialect: Dialect = dialects[dialect_name](paramstyle="named")

    def written(element: Any, **_: Any) -> Any:
        if not isinstance(element, sa.BindParameter):
            return None
        if element.expanding:
            values = ", ".join(
                _written(one, element.type, dialect_name) for one in element.value or ()
            )
            return sa.literal_column(f"({values})")
        return sa.literal_column(_written(element.value, element.type, dialect_name))

    whole: Any = replacement_traverse(statement, {}, written)
    return str(whole.compile(dialect=dialect))


def _written(value: Any, kind: Any, dialect_name: str) -> str:
    on_server = dialect_name == "postgresql"
    if isinstance(value, bool):
        return str(value).lower() if on_server else str(int(value))
    if isinstance(value, int):
        return f"({value})"
    if isinstance(value, float):
        return f"({value!r}::float8)" if on_server else f"({value!r})"
    if isinstance(value, bytes):
        if not on_server:
            return f"x'{value.hex()}'"
        return f"'{UUID(bytes=value)}'::uuid" if isinstance(kind, Id) else f"'\\x{value.hex()}'"
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    raise TypeError(f"{type(value).__name__} has no form in SQL here")
