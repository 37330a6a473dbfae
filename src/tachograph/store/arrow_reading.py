"""Many calls at once, as Arrow, through ADBC: two or three times as fast as Python's own driver.

It is done by processes that do nothing else, a range of ids each. ADBC brings its own SQLite, and
two of them in one process undo each other's file locks, after which committed calls can be lost;
so this process, which may hold a recorder or a connection of the user's, never loads it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tachograph.errors import StoreError
from tachograph.store.database import CONNECT_TIMEOUT_SECONDS, sqlite_path
from tachograph.store.id_ranges import Range, by_an_index, parts_of, range_of
from tachograph.store.literals import text_of
from tachograph.store.queries import COLUMNS, Kind, count_calls
from tachograph.store.reading import reading
from tachograph.store.reading_processes import ReadingProcesses
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

logger = logging.getLogger("tachograph")

MANY_ROWS = 50_000
"""Below that many calls, starting processes takes longer than it saves."""
MOST_PROCESSES = 4
PARTS = 32
"""Ranges for each process: one that meets fewer calls in its ranges takes more of them."""
ATTEMPTS = 20
"""To begin between two commits of a writer."""

_TYPED = {Kind.ID: "x'00'", Kind.BYTES: "x'00'", Kind.TEXT: "''", Kind.FLOAT: "0.5"}
"""What tells ADBC the type of a column of SQLite; a whole number for other kinds."""


@contextmanager
def arrow_streams(source: Any, statement: sa.Select[Any]) -> Iterator[Iterator[bytes] | None]:
    """The rows as Arrow streams of some thousand each, in no order; None where they are few, and
    where the source or the machine is not made for it.

    The statement selects from `calls`, without order or limit. All rows are of one state of the
    database. StoreError when reading fails.
    """
    driver = _driver_for(source)
    if driver is None or by_an_index(statement.whereclause):
        yield None
        return
    with reading(source) as engine:
        wanted = _extent(engine, range_of(statement.whereclause))
        if wanted is None:
            yield None
            return
        count = min(MOST_PROCESSES, _cores())
        with _begun(engine, _request(driver, engine, statement), count) as processes:
            yield None if processes is None else processes.read(parts_of(wanted, PARTS * count))


def _driver_for(source: Any) -> str | None:
    """The module of the ADBC driver; None where it is not installed or cannot be used."""
    if os.name != "posix" or not sys.executable or getattr(sys, "frozen", False):
        return None
    if not isinstance(source, str | sa.URL):  # an engine may connect in its own way
        return None
    path = sqlite_path(source)
    backend = sa.make_url(source).get_backend_name()
    if backend == "sqlite" and path is None:
        return None
    driver = "adbc_driver_" + ("sqlite" if backend == "sqlite" else "postgresql")
    found = all(importlib.util.find_spec(name) for name in (driver, "pyarrow"))
    return driver if found else None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _extent(engine: Engine, within: Range) -> Range | None:
    """From the first call of a range to the last; None when it has few."""
    low, high = (calls.c.id >= within[0].to_bytes(16), calls.c.id < within[1].to_bytes(16))
    ids = sa.select(calls.c.id).where(low, high).limit(1)
    with engine.connect() as connection:
        if connection.execute(count_calls([low, high], MANY_ROWS)).scalar_one() < MANY_ROWS:
            return None
        first: bytes = connection.execute(ids.order_by(calls.c.id)).scalar_one()
        last: bytes = connection.execute(ids.order_by(calls.c.id.desc())).scalar_one()
    return int.from_bytes(first), int.from_bytes(last) + 1


def _request(driver: str, engine: Engine, statement: sa.Select[Any]) -> dict[str, Any]:
    """What `arrow_process.Connection` is made with."""
    if engine.dialect.name == "sqlite":
        path = sqlite_path(engine.url)
        assert path is not None
        uri, first = f"{path.as_uri()}?mode=ro", ["SELECT 1 FROM calls LIMIT 1"]
    else:
        uri, first = (
            _conninfo(engine),
            [
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
                "SET LOCAL standard_conforming_strings = on",  # or a backslash means something
            ],
        )
    return {"driver": driver, "uri": uri, "first": first, "sql": _cut(engine, statement)}


def _conninfo(engine: Engine) -> str:
    """How libpq connects to where the engine does."""
    from psycopg import conninfo

    _, given = engine.dialect.create_connect_args(engine.url)
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **given}
    del options["context"]  # of psycopg alone
    return conninfo.make_conninfo("", **options)


def _cut(engine: Engine, statement: sa.Select[Any]) -> tuple[str, str, str]:
    """The statement's SQL for a range, in three parts, between which stand the range's ends."""
    low, high = "<first id>", "<id behind the last>"
    # the range before all else: SQLite takes the first condition on a key for its search
    ranged = sa.select(*statement.selected_columns).where(
        calls.c.id >= sa.literal_column(low), calls.c.id < sa.literal_column(high)
    )
    if statement.whereclause is not None:
        ranged = ranged.where(statement.whereclause)
    sql = text_of(ranged, engine.dialect.name)
    if engine.dialect.name == "sqlite":
        names = [str(column.key) for column in statement.selected_columns]
        values = ", ".join(f"{_TYPED.get(COLUMNS[name].kind, '1')} AS {name}" for name in names)
        sql = f"SELECT {values} UNION ALL {sql}"
    before, rest = sql.split(low, 1)
    between, after = rest.split(high, 1)
    return before, between, after


@contextmanager
def _begun(
    engine: Engine, request: dict[str, Any], count: int
) -> Iterator[ReadingProcesses | None]:
    """Processes that all see one state of the database; None when they cannot be had."""
    on_server = engine.dialect.name == "postgresql"
    with ExitStack() as stack:
        try:
            with engine.connect() as connection:
                if on_server:
                    request["first"] += _same_snapshot(connection)
                processes = stack.enter_context(ReadingProcesses(request, count))
                processes.wait()
                if not on_server:
                    _begin_as_one(connection, processes)
        except (OSError, StoreError) as error:
            logger.warning("calls are read in the slower way, since %s", error)
            yield None
            return
        yield processes


def _same_snapshot(connection: Connection) -> list[str]:
    """What others run to see what this transaction sees."""
    connection.execution_options(isolation_level="REPEATABLE READ")
    name = connection.scalar(sa.select(sa.func.pg_export_snapshot()))
    return [f"SET TRANSACTION SNAPSHOT '{name}'"]


def _begin_as_one(connection: Connection, processes: ReadingProcesses) -> None:
    """SQLite: they begin again until nobody has committed in between, else only one reads."""
    for _ in range(ATTEMPTS):
        before = _version(connection)
        processes.begin_again()
        if _version(connection) == before:
            return
    processes.keep_one()


def _version(connection: Connection) -> int:
    """A number that changes with every commit of others."""
    version = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
    connection.rollback()  # and with it goes the view of that moment
    return int(version)
