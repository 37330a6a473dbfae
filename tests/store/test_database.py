"""Opening a database: files, memory, servers, read-only, and what a user reads when it fails."""

from __future__ import annotations

import builtins
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tachograph.errors import StoreError
from tachograph.store.database import (
    open_engine,
    sqlite_path,
    without_secret,
    write_transaction,
)


def test_a_file_is_in_wal_mode_and_commits_last(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    engine.dispose()


def test_nothing_is_connected_and_no_file_is_made_before_it_is_used(tmp_path: Path) -> None:
    open_engine(f"sqlite:///{tmp_path}/calls.db")
    open_engine("postgresql://nobody@127.0.0.1:1/nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_write_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")

    def fail_late() -> None:
        with write_transaction(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert sa.inspect(engine).get_table_names() == []
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    assert sa.inspect(engine).get_table_names() == ["t"]
    engine.dispose()


def test_a_write_transaction_waits_its_turn_before_it_reads(tmp_path: Path) -> None:
    """Read, then write: without the lock taken first, one of two such writers fails at once."""
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (0)")

    def count_up() -> None:
        for _ in range(20):
            with write_transaction(engine) as connection:
                seen = connection.exec_driver_sql("SELECT x FROM t").scalar_one()
                connection.exec_driver_sql("UPDATE t SET x = ?", (seen + 1,))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").scalar_one() == 80
    engine.dispose()


def test_a_reader_sees_one_state_and_does_not_stop_the_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    engine = open_engine(url)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    reader = open_engine(url, read_only=True)
    with reader.connect() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
        with write_transaction(engine) as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert reading.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    with reader.connect() as reading:
        assert reading.exec_driver_sql("SELECT count(*) FROM t").scalar() == 1
    engine.dispose()


def test_reading_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "of last week % ?.db"
    sqlite3.connect(path).close()
    path.touch()
    reader = open_engine(sa.URL.create("sqlite", database=str(path)), read_only=True)
    with pytest.raises(StoreError, match="readonly"), reader.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_reading_a_server_cannot_write(postgres_url: str) -> None:
    reader = open_engine(postgres_url, read_only=True)
    with pytest.raises(StoreError, match="read-only transaction"), reader.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x int)")


def test_a_memory_database_is_one_for_all_threads() -> None:
    engine = open_engine("sqlite://")
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    seen: list[Any] = []

    def look() -> None:
        with engine.connect() as connection:
            seen.append(connection.exec_driver_sql("SELECT count(*) FROM t").scalar())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [0]
    engine.dispose()


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=rf"there is no database at {tmp_path}/x\.db: .*--db"):
        open_engine(f"sqlite:///{tmp_path}/x.db", read_only=True)
    assert not (tmp_path / "x.db").exists()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"the folder {tmp_path}/none does not exist"):
        open_engine(f"sqlite:///{tmp_path}/none/x.db")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database, but long enough to be looked at as one" * 20)
    with (
        pytest.raises(StoreError, match=r"notes\.txt: file is not a database"),
        open_engine(f"sqlite:///{path}", read_only=True).connect(),
    ):
        pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("calls.db", r"'calls\.db' is no database URL: write sqlite:///calls\.db$"),
        ("://x", "is no database URL: write sqlite:///FILE or postgresql://"),
        ("mysql://host/db", "mysql:// is not supported"),
        ("postgresql+asyncpg://host/db", "postgresql\\+asyncpg:// is not supported"),
        ("postgresql://host:port/db", "is no database URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_told(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_engine(url)


def test_a_password_is_in_no_message() -> None:
    url = "postgresql://app:s3cret@127.0.0.1:1/calls?sslpassword=s3cret"
    assert without_secret(url) == "postgresql://app:***@127.0.0.1:1/calls?sslpassword=..."
    with pytest.raises(StoreError) as told, open_engine(url, read_only=True).connect():
        pass
    assert "s3cret" not in str(told.value)
    with pytest.raises(StoreError) as told:
        open_engine("://app:s3cret@host/calls")
    assert "s3cret" not in str(told.value)


def test_a_missing_driver_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_psycopg(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(StoreError, match=r"pip install 'tachograph\[postgres\]'"):
        open_engine("postgresql://host/calls")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////data/calls.db", "/data/calls.db"),
        ("sqlite:///file:/data/a%2520b.db?uri=true", "/data/a b.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file:calls?mode=memory&uri=true", None),
        ("postgresql://host/calls", None),
    ],
)
def test_the_file_of_a_url(url: str, path: str | None) -> None:
    assert sqlite_path(url) == (None if path is None else Path(path))


def test_the_file_of_a_relative_url_is_below_the_working_folder() -> None:
    assert sqlite_path("sqlite:///calls.db") == Path.cwd() / "calls.db"
