"""Calls in partitions by month: made ahead, caught up with, and no different to use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter
from tachograph.store.partitions import add_months, is_partitioned
from tachograph.store.purge import purge
from tests.store.test_insert import LEDGER, stored
from tests.store.test_purge import NOON, store

MONTHS = ["calls_2026_11", "calls_2026_12", "calls_2027_01", "calls_2027_02"]


@pytest.fixture
def engine(postgres_url: str) -> Iterator[sa.Engine]:
    engine = open_engine(postgres_url)
    migrate.upgrade(engine, partitioned=True)
    yield engine
    engine.dispose()


def rows_in(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(sa.func.count()).select_from(sa.text(table))
        ).scalar_one()


def test_only_who_asks_gets_partitions(engine: sa.Engine, postgres_url: str) -> None:
    assert is_partitioned(engine)
    migrate.downgrade(engine, "base")
    assert not is_partitioned(engine)
    migrate.upgrade(engine)
    assert not is_partitioned(engine)


def test_this_month_and_the_next_ones_are_made_once(engine: sa.Engine) -> None:
    assert add_months(engine, NOON) == MONTHS
    assert add_months(engine, NOON) == []
    assert add_months(engine, datetime(2026, 12, 31, tzinfo=UTC)) == ["calls_2027_03"]


def test_a_call_is_in_the_partition_of_its_month(engine: sa.Engine) -> None:
    add_months(engine, NOON)
    store(engine, 2, datetime(2026, 12, 1, tzinfo=UTC))
    store(engine, 1, datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC))
    store(engine, 3, datetime(2031, 1, 1, tzinfo=UTC))
    counts = [rows_in(engine, name) for name in (*MONTHS, "calls_default", "call_log")]
    assert counts == [1, 2, 0, 0, 3, 6]


def test_a_month_made_too_late_takes_its_calls_over(engine: sa.Engine) -> None:
    store(engine, 5)
    before = stored(engine)
    add_months(engine, NOON)
    assert (rows_in(engine, "calls_default"), rows_in(engine, MONTHS[0])) == (0, 5)
    assert stored(engine) == before


def test_storing_and_purging_are_as_ever(engine: sa.Engine) -> None:
    add_months(engine, NOON)
    ids = store(engine, 3, datetime(2026, 11, 30, 23, 59, 59, 999_998, tzinfo=UTC))
    inserter = Inserter(engine)
    assert inserter.store(stored(engine), LEDGER) == 0
    assert inserter.known(ids) == set(ids)
    assert purge(engine, datetime(2026, 12, 1, tzinfo=UTC)) == 2
    assert len(stored(engine)) == 1
    migrate.check(engine)


def test_a_query_by_time_reads_its_months_alone(engine: sa.Engine) -> None:
    add_months(engine, NOON)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT model FROM call_log WHERE id >= uuid7_floor('2027-02-01T00:00Z')"
        )
        text = "\n".join(plan.scalars())
    assert MONTHS[-1] in text
    assert MONTHS[0] not in text
