"""Old calls go, newer ones stay, and whoever writes meanwhile does not notice."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tachograph.core.ids import uuid7
from tachograph.core.units import microseconds
from tachograph.store import purge as purging
from tachograph.store.database import write_transaction
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.purge import count_before, purge
from tachograph.store.schema import calls, contents, journal_dead, reconciliations
from tests.store.test_insert import row

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LEDGER = Ledger(id=uuid7(1), began_us=1, last_seen_us=2, made=3, dropped={})


def store(engine: sa.Engine, number: int, began: datetime = NOON, step_us: int = 1) -> list[bytes]:
    first = microseconds(began)
    rows = [row(first + n * step_us) for n in range(number)]
    Inserter(engine).store(rows, LEDGER)
    return [found[0] for found in rows]


def ids(engine: sa.Engine) -> list[bytes]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(calls.c.id).order_by(calls.c.id)).scalars())


def test_exactly_those_before_the_instant_go(engine: sa.Engine) -> None:
    second = 1_000_000
    stored = store(engine, 1000, step_us=second)
    before = NOON + timedelta(seconds=750)
    told: list[int] = []
    assert count_before(engine, before) == 750
    assert purge(engine, before, told.append) == 750
    assert ids(engine) == stored[750:]
    assert sum(told) == 750
    assert len(told) > 1
    assert purge(engine, before) == 0


def test_what_belongs_to_them_goes_with_them(engine: sa.Engine) -> None:
    old, new = store(engine, 1), store(engine, 1, NOON + timedelta(days=1))
    with write_transaction(engine) as connection:
        connection.execute(
            reconciliations.insert(),
            [{"call_id": found, "asked_us": NOON, "found": True} for found in (*old, *new)],
        )
        connection.execute(
            journal_dead.insert(),
            [
                {"set_aside_us": when, "reason": "bad", "record": b""}
                for when in (NOON, NOON + timedelta(days=1))
            ],
        )
    purge(engine, NOON + timedelta(hours=1))
    with engine.connect() as connection:
        assert connection.execute(sa.select(reconciliations.c.call_id)).scalars().all() == new
        kept = connection.execute(sa.select(journal_dead.c.set_aside_us)).scalars().all()
    assert kept == [NOON + timedelta(days=1)]


def test_what_belonged_to_archived_calls_goes_too(engine: sa.Engine) -> None:
    archived = uuid7(microseconds(NOON))
    with write_transaction(engine) as connection:
        connection.execute(contents.insert(), {"call_id": archived, "request": "{}"})
        connection.execute(
            reconciliations.insert(), {"call_id": archived, "asked_us": NOON, "found": True}
        )
    assert purge(engine, NOON + timedelta(hours=1)) == 0
    with engine.connect() as connection:
        assert not connection.execute(sa.select(contents.c.call_id)).all()
        assert not connection.execute(sa.select(reconciliations.c.call_id)).all()


def test_a_batch_is_sized_by_how_long_the_last_one_took() -> None:
    sizes = [purging.next_size(1000, held) for held in (0.0, 0.006, 0.012, 0.12, 1000.0)]
    assert sizes == [2000, 2000, 1000, 100, 1]
    assert purging.next_size(purging.LARGEST_BATCH, 0.0) == purging.LARGEST_BATCH


def test_calls_are_stored_while_old_ones_go(engine: sa.Engine) -> None:
    store(engine, 5000)
    new: list[bytes] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            new.extend(store(engine, 1, NOON + timedelta(days=1)))
            time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert purge(engine, NOON + timedelta(hours=1)) == 5000
    finally:
        done.set()
        writer.join()
    assert set(ids(engine)) == set(new)
    assert new
