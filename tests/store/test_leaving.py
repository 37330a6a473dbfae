"""Calls leave SQL as they were seen, or they stay."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tachograph.store import queries
from tachograph.store.database import open_engine
from tachograph.store.leaving import Leaving, days_with_calls
from tachograph.store.purge import FIRST_BATCH
from tachograph.store.schema import calls
from tests.analytics.rows import NOON, row, stored


def test_a_batch_that_is_not_as_it_was_seen_stays_and_the_others_go(tmp_path: Path) -> None:
    rows = [row(seconds) for seconds in range(3 * FIRST_BATCH)]
    engine = open_engine(stored(f"sqlite:///{tmp_path}/calls.db", rows))
    leaving = Leaving(engine, list(queries.COLUMNS))
    seen = leaving.read(rows[0]["id"], rows[-1]["id"])
    came = row(0.5)
    with engine.begin() as connection:
        connection.execute(calls.insert(), [came])
        connection.execute(calls.update().where(calls.c.id == seen[-1].id).values(model="other"))
    steps: list[int] = []
    gone = leaving.delete(seen, steps.append)
    with engine.connect() as connection:
        left = list(connection.execute(calls.select().with_only_columns(calls.c.id)).scalars())
    assert len(left) == len(rows) + 1 - gone
    assert {came["id"], *(seen[n].id for n in (*range(FIRST_BATCH), -1))} <= set(left)
    assert gone == sum(steps) >= FIRST_BATCH
    engine.dispose()


def test_days_are_those_on_which_calls_began(tmp_path: Path) -> None:
    rows = [row(timedelta(days=day, hours=hour)) for day in (0, 1, 4) for hour in (0, 11)]
    engine = open_engine(stored(f"sqlite:///{tmp_path}/calls.db", rows))
    days = days_with_calls(engine, NOON + timedelta(days=3, hours=12))
    assert list(days) == [date(2026, 11, 1), date(2026, 11, 2)]
    assert list(days_with_calls(engine, datetime(2026, 11, 1, tzinfo=UTC))) == []
    engine.dispose()
