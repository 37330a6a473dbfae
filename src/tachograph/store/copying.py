"""Rows into PostgreSQL's `calls`: COPY into a table of this session, then one INSERT.

COPY alone cannot skip rows that are there already. The INSERT names no conflict target, so that a
role may insert without being allowed to read. COPY's text form is as quick as its binary form, and
leaves it to the server to refuse what a column cannot hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tachograph.store.column_types import Id
from tachograph.store.rows import COLUMNS
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.store.rows import Row

_TYPES = {
    column.name: column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    for column in calls.columns
}
_NAMES = ", ".join(COLUMNS)
_CREATE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_calls "
    f"({', '.join(f'{name} {_TYPES[name]}' for name in COLUMNS)}) ON COMMIT DELETE ROWS"
)
_COPY = f"COPY pg_temp.incoming_calls ({_NAMES}) FROM STDIN"
_INSERT = (
    f"INSERT INTO calls ({_NAMES}) SELECT {_NAMES} FROM pg_temp.incoming_calls "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_IDS = tuple(at for at, name in enumerate(COLUMNS) if isinstance(calls.c[name].type, Id))


def copy_rows(connection: sa.Connection, rows: Sequence[Row]) -> int:
    """Adds the rows that are not there yet, within the connection's transaction; how many.

    Raises the errors of SQLAlchemy.
    """
    connection.exec_driver_sql(_CREATE)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                values = list(row)
                for at in _IDS:
                    values[at] = None if row[at] is None else row[at].hex()
                copy.write_row(values)
    except psycopg.Error as error:
        raise sa.exc.DBAPIError.instance(
            _COPY, None, error, psycopg.Error, connection_invalidated=driver.closed
        ) from error
    return connection.exec_driver_sql(_INSERT).rowcount
