"""What `tachograph doctor` looks at, one function for each thing, and what it found there."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tachograph.cli import EXTRAS
from tachograph.cli.values import counted
from tachograph.errors import SchemaOutOfDateError, SettingsError, StoreError
from tachograph.settings import PREFIX, Settings
from tachograph.store import migrate
from tachograph.store.database import open_engine, sqlite_path, without_secret
from tachograph.store.folder import journal_folder
from tachograph.store.health import read_health
from tachograph.store.ledger import read_heads, read_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

OLDEST_SQLITE = (3, 24)
"""From here on it knows ON CONFLICT DO NOTHING, on which every insert rests."""
LEAST_FREE_BYTES = 200 << 20
STALE_PRICES = timedelta(days=30)
LOOKED_AT = timedelta(days=30)
"""Costs are looked at for the calls of so long."""
SKEW = timedelta(seconds=5)
ANSWER_SECONDS = 3.0
"""How long a collector may take to accept a connection."""

_WHAT_IS_RECORDED = (
    "if you expected some: only calls to openrouter.ai are recorded, and to the "
    f"base URLs of Recorder(base_urls=[...]) or {PREFIX}BASE_URLS, by clients given to instrument()"
)

_COLLECTOR_PORTS = {"https": 443, "http": 80}


class State(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    ADVICE = "advice"
    """Something is to be known or could be better; recording works."""
    WRONG = "wrong"
    """Recording or reading does not work as it is set up."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what it is like, and what to do about it."""

    about: str
    state: State
    says: str
    do: str | None = None


def look_at(db: str) -> Iterator[Finding]:
    """All findings, those on the database only where it can be read."""
    yield settings()
    yield sqlite_version()
    yield extras()
    yield from collector()
    yield from journals(db)
    try:
        engine = open_engine(db, read_only=True)
    except StoreError as error:
        start = f"it is made when a recorder starts, or by `tachograph db upgrade --db {db}`"
        yield Finding("database", State.WRONG, str(error), start if _is_missing(db) else None)
        return
    try:
        reachable = list(database(db, engine))
        yield from reachable
        if all(finding.state is not State.WRONG for finding in reachable):
            yield from ledger(db, engine)
            yield from health(engine, datetime.now(UTC))
    except StoreError as error:
        do = "ask as the owner, or give this role the right to read what is named"
        yield Finding("rest", State.ADVICE, f"not looked at: {error}", do)
    finally:
        engine.dispose()


def settings() -> Finding:
    """The variables of the environment: none misspelt, none out of its range."""
    try:
        found = Settings.of()
    except SettingsError as error:
        return Finding("settings", State.WRONG, str(error), "correct it, or unset it")
    if found.disabled:
        unset = f"unset {PREFIX}DISABLED to record again"
        return Finding("settings", State.ADVICE, "recording is turned off", unset)
    names = sorted(name for name in os.environ if name.startswith(PREFIX))
    return Finding("settings", State.OK, ", ".join(names) or f"no {PREFIX} variable is set")


def sqlite_version() -> Finding:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        do = f"use a Python that has SQLite {oldest} or newer"
        return Finding("SQLite", State.WRONG, sqlite3.sqlite_version, do)
    return Finding("SQLite", State.OK, sqlite3.sqlite_version)


def extras() -> Finding:
    """Which extras are there; what needs one that is not says so itself."""
    lacking = sorted({extra for module, extra in EXTRAS.items() if not _is_there(module)})
    if lacking:
        install = f"where you need them: pip install 'tachograph[{','.join(lacking)}]'"
        return Finding("extras", State.OK, f"without {', '.join(lacking)}", install)
    return Finding("extras", State.OK, "all are installed")


def collector() -> Iterator[Finding]:
    """Where spans go, if the environment names a place: an exporter for it, and somebody there."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    name = next(filter(os.environ.get, names), None)
    if name is None:
        yield Finding("collector", State.OK, "none is named: spans are made only where your app is")
        return
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        do = "unset OTEL_SDK_DISABLED"
        yield Finding("collector", State.ADVICE, "OTEL_SDK_DISABLED turns spans off", do)
        return
    from tachograph.telemetry.exporters import span_exporters

    try:
        span_exporters()
    except SettingsError as error:
        yield Finding("collector", State.WRONG, str(error))
        return
    endpoint = os.environ[name]
    try:
        url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        address = (url.hostname or "", url.port or _COLLECTOR_PORTS.get(url.scheme, 4317))
        socket.create_connection(address, ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        do = f"start the collector, or correct {name}"
        yield Finding("collector", State.WRONG, f"{endpoint} does not answer: {why}", do)
        return
    yield Finding("collector", State.OK, f"{endpoint} answers")


def journals(db: str) -> Iterator[Finding]:
    """The folder of the journals can be written to, and its disk has room."""
    try:
        folder = _journal_folder(db)
    except StoreError as error:
        yield Finding("journals", State.WRONG, str(error))
        return
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        do = f"give this user the right to write in {there}"
        yield Finding("journals", State.WRONG, f"{there}: {error.strerror}", do)
        return
    if free < LEAST_FREE_BYTES:
        says = f"{free >> 20} MB are free in {there}"
        yield Finding("journals", State.WRONG, says, "make room: calls are dropped on a full disk")
        return
    yield Finding("journals", State.OK, f"{folder} can be written to")


def database(db: str, engine: Engine) -> Iterator[Finding]:
    """It can be reached, has our revision, and can be written to."""
    shown = without_secret(db)
    try:
        migrate.check(engine)
    except SchemaOutOfDateError as error:
        says, _, do = str(error).rpartition(": run ")
        yield Finding("database", State.WRONG, says or do, do if says else None)
        return
    except StoreError as error:
        yield Finding("database", State.WRONG, str(error), "start it, or correct --db")
        return
    path = sqlite_path(db)
    if path is not None and not os.access(path, os.W_OK):
        do = "give this user the right to write to it"
        yield Finding("database", State.WRONG, f"{shown} is read-only", do)
        return
    yield Finding("database", State.OK, f"{shown} has the revision that is needed")


def ledger(db: str, engine: Engine) -> Iterator[Finding]:
    """Nothing waits for nobody, and nothing was dropped."""
    folder = _journal_folder(db)
    heads = read_heads(folder)
    total = read_ledger(engine, folder).total
    dead = sum(not head.living for head in heads)
    waiting = f"{counted(total.waiting, 'call')} waiting"
    if dead and not total.living:
        says = f"{waiting} in {counted(dead, 'journal')} of processes that ended"
        do = f"start a recorder, or run `tachograph db replay --db {without_secret(db)}`"
        yield Finding("ledger", State.ADVICE, says, do)
    elif total.waiting > 0 and not heads:
        says = f"{counted(total.waiting, 'call')} neither stored nor in a journal"
        yield Finding("ledger", State.ADVICE, says, f"are there journals elsewhere than {folder}?")
    else:
        says = f"{counted(total.made, 'call')} made, {waiting}"
        yield Finding("ledger", State.OK, says, None if total.made else _WHAT_IS_RECORDED)
    if total.dropped:
        reasons = ", ".join(f"{number:,} {why}" for why, number in sorted(total.dropped.items()))
        do = "look at the log of your app (logger `tachograph`) for why"
        yield Finding("dropped", State.ADVICE, f"calls that are lost: {reasons}", do)


def health(engine: Engine, now: datetime) -> Iterator[Finding]:
    """Prices, costs, clocks and what could not be stored."""
    found = read_health(engine, now - LOOKED_AT)
    sync = "run `tachograph prices sync`"
    if not found.prices:
        says = "none: no cost can be computed and no bill checked"
        yield Finding("prices", State.ADVICE, says, sync)
    elif found.priced_at is not None and now - found.priced_at > STALE_PRICES:
        # a reading in which nothing is new leaves nothing that could be asked when it was
        says = f"none was new or other than before for {(now - found.priced_at).days} days"
        yield Finding("prices", State.ADVICE, says, f"unless something does so daily, {sync}")
    else:
        yield Finding("prices", State.OK, counted(found.prices, "price"))
    period = f"of {counted(found.completed, 'completed call')} of the last {LOOKED_AT.days} days"
    if found.without_cost:
        says = f"{found.without_cost:,} {period} have no known cost"
        yield Finding(
            "costs", State.ADVICE, says, "run `tachograph reconcile`, which asks for them"
        )
    elif found.without_price:
        says = (
            f"{found.without_price:,} {period} could not be checked ({', '.join(found.examples)})"
        )
        yield Finding("costs", State.ADVICE, says, f"{sync}: later calls will have a price")
    else:
        yield Finding("costs", State.OK, f"known and checked, {period}")
    yield _clock(found.clock, found.newest, now)
    if found.unreadable:
        says = f"{counted(found.unreadable, 'record')} could not be stored"
        do = "see why: tachograph sql 'SELECT set_aside_us, reason FROM journal_dead'"
        yield Finding("records", State.ADVICE, says, do)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is part of
        return False


def _clock(server: datetime | None, newest: datetime | None, now: datetime) -> Finding:
    do = "set this machine's clock (NTP): the times and prices of calls rest on it"
    if server is not None and abs(server - now) > SKEW:
        apart = abs(server - now).total_seconds()
        return Finding("clock", State.WRONG, f"{apart:,.0f} s apart from the database's", do)
    if newest is not None and newest - now > SKEW:
        ahead = (newest - now).total_seconds()
        return Finding("clock", State.WRONG, f"the last call began {ahead:,.0f} s from now", do)
    return Finding("clock", State.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _journal_folder(db: str) -> Path:
    named = os.environ.get(f"{PREFIX}JOURNAL_DIR")
    return journal_folder(db, Path(named) if named else None)


def _is_missing(db: str) -> bool:
    try:
        path = sqlite_path(db)
    except StoreError:
        return False
    return path is not None and not path.exists()
