"""Engines: a database named by its URL, opened the way that recording and reading need it.

SQLite (Python's own driver) and PostgreSQL (psycopg 3). On SQLite the driver begins no
transactions of its own: a transaction is `BEGIN` for readers, which see one state of the file
throughout, and `BEGIN IMMEDIATE` under `write_transaction`, since a transaction that reads first
and writes later fails at once, without waiting, when another process wrote in between.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from tachograph.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_TIMEOUT_SECONDS = 30.0
"""How long SQLite waits for another process that writes."""
CONNECT_TIMEOUT_SECONDS = 10
"""How long a server may take to answer, unless the URL says otherwise."""

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SECRETS = frozenset({"password", "sslpassword"})
_BEGIN = "tachograph_begin"


def open_engine(
    url: str | sa.URL, *, read_only: bool = False, busy_seconds: float = BUSY_TIMEOUT_SECONDS
) -> sa.Engine:
    """An engine for `sqlite:///FILE` or `postgresql://...`; nothing is connected yet.

    `busy_seconds` is how long SQLite waits for another process that writes.

    `read_only` creates no file, writes nothing, keeps no connection open to a SQLite file, and
    raises the driver's errors as StoreError. A memory database has one connection, for which
    threads wait. StoreError when the URL is no database's, the driver is not installed, or there
    is no file to read.
    """
    target = _parse(url)
    if target.get_backend_name() == "sqlite":
        engine = _open_sqlite(target, read_only, busy_seconds)
    else:
        engine = _open_postgresql(target, read_only)
    if read_only:

        @event.listens_for(engine, "handle_error")
        def raise_clearly(context: Any) -> None:
            if isinstance(context.sqlalchemy_exception, sa.exc.DBAPIError):
                raise failure(engine.url, context.sqlalchemy_exception)

    return engine


def sqlite_path(url: str | sa.URL) -> Path | None:
    """The file of a SQLite database, absolute; None for a memory database and for servers."""
    target = _parse(url)
    database = target.database
    if target.get_backend_name() != "sqlite" or target.query.get("mode") == "memory":
        return None
    if database and database.startswith("file:"):
        parts = urlsplit(database)
        database = None if "mode=memory" in parts.query else unquote(parts.path)
    if not database or database == ":memory:":
        return None
    return Path(database).absolute()


def no_folder(path: Path) -> StoreError:
    """What to say where the folder of a SQLite file is not there."""
    return StoreError(f"the folder {path.parent} does not exist: create it first")


def without_secret(url: str | sa.URL) -> str:
    """The URL as it may be shown and logged: without a password, a file by its whole path."""
    target = _parse(url)
    path = sqlite_path(target)
    if path is not None:
        return f"sqlite:///{path}"
    query = {key: "..." if key in _SECRETS else value for key, value in target.query.items()}
    shown = target.set(drivername=target.get_backend_name(), query=query)
    return shown.render_as_string(hide_password=True)


@contextmanager
def write_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction that writes; committed at the end, rolled back on an error.

    On SQLite it waits its turn before it reads anything (`BEGIN IMMEDIATE`).
    """
    with engine.execution_options(**{_BEGIN: "IMMEDIATE"}).begin() as connection:
        yield connection


def failure(url: sa.URL, error: sa.exc.DBAPIError) -> StoreError:
    """A driver's error in one line that names the database."""
    reason = " ".join(str(error.orig).split()) or type(error.orig).__name__
    return StoreError(f"{without_secret(url)}: {reason}")


def is_locked(error: BaseException | None) -> bool:
    """Whether another process was writing to a SQLite file for longer than was waited for."""
    if isinstance(error, StoreError):
        error = error.__cause__
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)


def not_permitted(error: sa.exc.DBAPIError) -> bool:
    """Whether the database refused a statement for a right that its role lacks."""
    return getattr(error.orig, "sqlstate", None) == "42501"  # PostgreSQL's insufficient_privilege


def _parse(url: str | sa.URL) -> sa.URL:
    try:
        target = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # what was given may hold a password, so only something like a file's name is repeated
        shown = f"{url!r} is no" if "@" not in str(url) else "not a"
        is_path = isinstance(url, (str, Path)) and not {"@", ":"} & {*str(url)}
        forms = f"sqlite:///{url}" if is_path else "sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise StoreError(f"{shown} database URL: write {forms}") from None
    driver = _DRIVERS.get(target.drivername)
    if driver is None:
        raise StoreError(
            f"{target.drivername}:// is not supported: use sqlite:///FILE or postgresql://..."
        )
    return target.set(drivername=driver)


def _open_sqlite(url: sa.URL, read_only: bool, busy_seconds: float) -> sa.Engine:
    path = sqlite_path(url)
    options: dict[str, Any] = {}
    if path is None:
        options = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    elif read_only:
        if not path.exists():
            raise StoreError(
                f"there is no database at {path}: record some calls into it, "
                "or name another with --db or TACHOGRAPH_DB"
            )
        url = sa.URL.create(
            "sqlite+pysqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"}
        )
        options = {"poolclass": NullPool}
    elif not path.parent.is_dir():
        raise no_folder(path)
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # an error's text may be logged, a call's content may not
        connect_args={
            "timeout": busy_seconds,
            "isolation_level": None,
            "check_same_thread": False,
        },
        **options,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        if path is not None and not read_only:
            _switch_to_wal(connection)
        # FULL: the journal of a batch is deleted once it is committed, so the commit must last
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        mode = connection.get_execution_options().get(_BEGIN, "")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Readers and the writer stop blocking each other; a property of the file, set once.

    Of several processes that switch a new file at once some are told "database is locked" without
    any waiting, so this one step is tried again.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _open_postgresql(url: sa.URL, read_only: bool) -> sa.Engine:
    # statements that are prepared on the server do not survive a pooler such as PgBouncer
    connect_args: dict[str, Any] = {"prepare_threshold": None}
    if "connect_timeout" not in url.query:
        connect_args["connect_timeout"] = CONNECT_TIMEOUT_SECONDS
    options: dict[str, Any] = {"pool_pre_ping": True}
    if read_only:
        options = {"poolclass": NullPool, "execution_options": {"postgresql_readonly": True}}
    try:
        return sa.create_engine(url, hide_parameters=True, connect_args=connect_args, **options)
    except ModuleNotFoundError as error:
        if error.name not in ("psycopg", "psycopg_binary"):
            raise
        raise StoreError(
            "postgresql:// needs the psycopg driver: pip install 'tachograph[postgres]'"
        ) from None
