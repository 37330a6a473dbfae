"""Rows go in once, as they are, into SQLite and PostgreSQL alike; what cannot go in is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tachograph.core.ids import uuid7
from tachograph.core.units import from_microseconds
from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.rows import COLUMNS, Row
from tachograph.store.schema import calls, journal_dead

LEDGER = Ledger(id=uuid7(1), began_us=1, last_seen_us=2, made=3, dropped={})
NASTY = "tab\t line\n return\r backslash \\ \\N \\. quote ' \" {} \u00e4 \U0001f600"


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[sa.Engine]:
    engine = open_engine(postgres_url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


def row(started_us: int = 1_763_686_800_000_042, **values: Any) -> Row:
    call_id = uuid7(started_us)
    needed = {
        "id": call_id,
        "operation_id": call_id,
        "attempt": 1,
        "resend_count": 0,
        "host": "openrouter.ai",
        "path": "/chat/completions",
        "started_us": started_us,
        "outcome": "completed",
        "cost_source": "unknown",
    }
    return tuple({**dict.fromkeys(COLUMNS), **needed, **values}.values())


def stored(engine: sa.Engine) -> list[Row]:
    """All rows as a driver gives them, ids as bytes."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {', '.join(COLUMNS)} FROM calls ORDER BY id")
        return [tuple(getattr(value, "bytes", value) for value in found) for found in rows]


def test_a_row_that_is_there_is_left_alone(engine: sa.Engine) -> None:
    inserter = Inserter(engine)
    first, second, third = row(1), row(2), row(3)
    assert inserter.store([first, second], LEDGER) == 2
    assert inserter.store([second, third, third], LEDGER) == 1
    assert stored(engine) == [first, second, third]
    assert inserter.known([first[0], uuid7(4)]) == {first[0]}


def test_values_come_back_as_they_went_in(engine: sa.Engine) -> None:
    sent = row(
        name=NASTY,
        tags="",
        stream=True,
        is_byok=False,
        input_tokens=2**63 - 1,
        output_tokens=0,
        billed_picousd=-(2**63),
        attempt=2**15 - 1,
        latency_seconds=0.1 + 0.2,
        first_token_seconds=5e-324,
        trace_id=bytes(range(16)),
        span_id=b"\\x\n\t\0\xff\xfe\\",
    )
    Inserter(engine).store([sent], LEDGER)
    assert stored(engine) == [sent]


def test_the_ledger_goes_in_with_the_rows(engine: sa.Engine) -> None:
    inserter = Inserter(engine)
    inserter.store([row(1), row(2)], LEDGER)
    inserter.store([row(3)], LEDGER)
    inserter.store([], LEDGER)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT stored, made FROM recorders").all()
    assert [tuple(counts) for counts in found] == [(3, 3)]


def test_what_cannot_be_stored_is_set_aside_with_the_reason(engine: sa.Engine) -> None:
    ledger = replace(LEDGER, last_seen_us=42)
    for _ in range(2):  # the second time it is there already
        Inserter(engine).set_aside([("too large", b"one"), ("too late", b"two")], ledger)
    assert ledger.dropped == {"unstorable": 2}
    with engine.connect() as connection:
        found = connection.execute(journal_dead.select().order_by(journal_dead.c.id)).all()
    assert [tuple(dead)[1:] for dead in found] == [
        (LEDGER.id, from_microseconds(42), "too large", b"one"),
        (LEDGER.id, from_microseconds(42), "too late", b"two"),
    ]


def test_what_a_journal_of_nobody_known_held_is_set_aside(engine: sa.Engine) -> None:
    Inserter(engine).set_aside([("no head", b"bytes")], Ledger(b"", 0, 42, 0, {}))
    with engine.connect() as connection:
        (dead,) = connection.execute(journal_dead.select()).all()
        assert connection.exec_driver_sql("SELECT count(*) FROM recorders").scalar() == 0
    assert (dead.recorder_id, dead.record) == (None, b"bytes")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"attempt": 2**15}, sa.exc.DataError),
        ({"input_tokens": 2**63}, sa.exc.DataError),
        ({"name": "a\0b"}, sa.exc.DataError),
        ({"host": None}, sa.exc.IntegrityError),
        ({"name": "\ud800"}, ValueError),
    ],
)
def test_what_postgresql_cannot_hold_is_refused_whole(
    postgres: sa.Engine, values: dict[str, Any], error: type[Exception]
) -> None:
    inserter = Inserter(postgres)
    with pytest.raises(error):
        inserter.store([row(1), row(2, **values)], LEDGER)
    assert stored(postgres) == []
    assert inserter.store([row(1)], LEDGER) == 1


def test_a_connection_that_was_cut_is_replaced(postgres: sa.Engine) -> None:
    inserter = Inserter(postgres)
    inserter.store([row(1)], LEDGER)
    admin = open_engine(postgres.url)
    with admin.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    admin.dispose()
    assert inserter.store([row(2)], LEDGER) == 1


def test_eight_writers_at_once(engine: sa.Engine) -> None:
    inserter = Inserter(engine)
    ledgers = [Ledger(uuid7(n + 1), 1, 2, 100, {}) for n in range(8)]
    shared = [row(n) for n in range(1, 101)]

    def write(ledger: Ledger) -> None:
        for _ in range(5):
            inserter.store([*shared, *(row(1000) for _ in range(20))], ledger)

    threads = [threading.Thread(target=write, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(calls)).scalar() == 900
        total = connection.exec_driver_sql("SELECT sum(stored) FROM recorders").scalar()
    assert total == 900
