"""Rows out of the database through Python's own driver: streamed, in columns, read-only."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection as Connection
from sqlalchemy import Engine as Engine

from tachograph.errors import StoreError
from tachograph.store.database import failure, open_engine, sqlite_path
from tachograph.store.migrate import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
CHUNK_ROWS = 4_000
"""Rows that are in Python's memory at a time."""


@contextmanager
def reading(source: str | sa.URL | Engine) -> Iterator[Engine]:
    """The engine behind a source: opened read-only and closed again, or the caller's own.

    StoreError when there is nothing to read, SchemaOutOfDateError when it is of another revision.
    """
    if isinstance(source, Engine):
        yield source
        return
    path = sqlite_path(source)
    engine = _opened(
        sa.make_url(source) if path is None else sa.URL.create("sqlite", database=str(path))
    )
    try:
        check(engine)
        yield engine
    finally:
        engine.dispose()


@lru_cache(maxsize=8)
def _opened(url: sa.URL) -> Engine:
    """Holds no connection; but statements that it has compiled are not compiled again."""
    return open_engine(url, read_only=True)


def column_chunks(
    source: str | sa.URL | Engine, statement: sa.Select[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """The columns of the answer, so many rows at a time; nothing at all when it has no rows.

    May be drawn from several threads, one after the other. StoreError when the database fails.
    """
    yield from in_one_state(source, lambda connection: chunks(connection, statement))


def in_one_state(
    source: str | sa.URL | Engine, read: Callable[[Connection], Iterator[T]]
) -> Iterator[T]:
    """What `read` gives; all that it selects is of one state of the database.

    As for `column_chunks`.
    """
    with reading(source) as engine:
        try:
            with engine.connect() as connection:
                _begin(connection)
                found = read(connection)
                if _has_one_connection(engine):
                    # others wait for it, perhaps another scan of the same query
                    found = iter(list(found))
                    connection.close()
                yield from found
        except sa.exc.DBAPIError as error:
            raise failure(engine.url, error) from error


def chunks(connection: Connection, statement: sa.Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """The columns of the answer, so many rows at a time."""
    with connection.execution_options(stream_results=True).execute(statement) as result:
        for rows in result.partitions(CHUNK_ROWS):
            yield list(zip(*rows, strict=True))


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ")
    connection.begin()
    if connection.dialect.name == "sqlite" and not connection.connection.in_transaction:
        connection.exec_driver_sql("BEGIN")  # which Python's driver by itself leaves out


@contextmanager
def select(source: str | sa.URL | Engine, query: str) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """The names of the columns and the rows of one SELECT, which can change nothing."""
    with reading(source) as engine, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only=ON")
        # on PostgreSQL a cursor is declared for it, which takes one query and nothing else
        streamed = connection.execution_options(stream_results=True)
        with streamed.exec_driver_sql(query) as result:
            if not result.returns_rows:
                raise StoreError("that is no query: write a SELECT")
            yield list(result.keys()), (tuple(row) for row in result)


def compiled(source: str | sa.URL | Engine, statement: sa.Select[Any]) -> str:
    """The statement as that database would get it, with its values behind it."""
    with reading(source) as engine:
        sql = statement.compile(engine)
        values = ", ".join(f"{name}={value!r}" for name, value in sql.params.items())
        return f"{sql}\n-- {values}" if values else str(sql)


def _has_one_connection(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and sqlite_path(engine.url) is None
