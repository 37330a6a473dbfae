"""Revisions: created, upgraded and refused, on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from tachograph.core.ids import uuid7
from tachograph.errors import SchemaOutOfDateError, StoreError
from tachograph.store import migrate
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.partitions import add_months
from tachograph.store.schema import REVISION, calls, metadata
from tests.store.racing import upgrade_at_once

ID = bytes(range(16))
STARTED = datetime(2026, 11, 21, 1, 0, 0, 42, tzinfo=UTC)

ADDED = ("resend_of", "job_id", "foreign_span")

OLD_CALLS = sa.Table(
    "calls",
    sa.MetaData(),
    *(c._copy() for c in calls.columns if c.name not in ADDED),
)
OLD_ROWS = [
    {
        "id": uuid7(1_763_686_800_000_000 + number),
        "operation_id": uuid7(1_763_686_800_000_000),
        "attempt": number + 1,
        "resend_count": number,
        "host": "openrouter.ai",
        "path": "/chat/completions",
        "started_us": STARTED,
        "outcome": "completed",
        "cost_source": "billed",
        "billed_picousd": Decimal("0.000000009375"),
        "span_id": ID[:8],
    }
    for number in range(3)
]


@pytest.fixture
def engine(empty: sa.Engine) -> sa.Engine:
    return empty


def structure(engine: sa.Engine) -> dict[str, Any]:
    """All that the database itself says of its tables and indexes."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(
                "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
                " AND name NOT LIKE 'sqlite_%'"
            )
            found: dict[str, Any] = {name: "".join(sql.split()) for name, sql in rows}
        else:
            columns = connection.exec_driver_sql(
                "SELECT table_name || '.' || column_name, ordinal_position, data_type,"
                " is_nullable, column_default FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name <> 'call_log'"
            )
            found = {row[0]: tuple(row[1:]) for row in columns}
            indexes = connection.exec_driver_sql(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            )
            found |= {row.indexname: row.indexdef for row in indexes}
    return {name: value for name, value in found.items() if not name.startswith("alembic_version")}


def store_a_call(engine: sa.Engine, **values: Any) -> None:
    with write_transaction(engine) as connection:
        connection.execute(
            calls.insert().values(
                id=ID,
                operation_id=ID,
                attempt=1,
                resend_count=0,
                host="openrouter.ai",
                path="/chat/completions",
                outcome="completed",
                cost_source="billed",
                **values,
            )
        )


def test_the_migrations_make_the_tables_of_the_schema(engine: sa.Engine) -> None:
    migrate.upgrade(engine)
    migrated = structure(engine)
    migrate.downgrade(engine, "base")
    assert structure(engine) == {}
    metadata.create_all(engine)
    assert migrated == structure(engine)


def test_the_code_is_written_for_the_last_revision() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory("migrations").get_heads() == [REVISION]


def test_checked_before_and_after_an_upgrade(engine: sa.Engine) -> None:
    assert migrate.current(engine) is None
    with pytest.raises(SchemaOutOfDateError, match="run `tachograph db upgrade --db") as told:
        migrate.check(engine)
    assert (told.value.found, told.value.expected) == (None, REVISION)
    migrate.upgrade(engine)
    migrate.upgrade(engine)
    migrate.check(engine)
    assert migrate.current(engine) == REVISION


def test_an_upgrade_keeps_the_rows(engine: sa.Engine) -> None:
    migrate.upgrade(engine)
    store_a_call(engine, started_us=STARTED)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(sa.select(calls.c.id)).scalars().all() == [ID]


def test_calls_of_an_older_revision_keep_all_that_was_known(engine: sa.Engine) -> None:
    """Up, and down again: every column of each row, and what else stands on `calls`."""
    partitioned = engine.dialect.name == "postgresql"
    migrate.upgrade(engine, "0001", partitioned=partitioned)
    before, oldest = structure(engine), everything(engine)
    assert oldest == []
    with write_transaction(engine) as connection:
        if partitioned:
            connection.exec_driver_sql("CREATE VIEW of_the_app AS SELECT id FROM call_log")
        connection.execute(OLD_CALLS.insert(), OLD_ROWS)
    old = everything(engine)
    assert len(old) == len(OLD_ROWS)

    migrate.upgrade(engine)
    if partitioned:
        add_months(engine, STARTED)
    assert everything(engine) == [row | dict.fromkeys(ADDED) for row in old]
    store_a_call(engine, started_us=STARTED, resend_of=ID)
    with engine.connect() as connection:
        shown = sa.text("SELECT id, resend_of FROM call_log WHERE resend_of IS NOT NULL")
        assert [str(value) for value in connection.execute(shown).one()] == [
            str(UUID(bytes=ID))
        ] * 2

    if partitioned:
        with write_transaction(engine) as connection:
            connection.exec_driver_sql("DROP VIEW of_the_app")
    migrate.downgrade(engine, "0001")
    assert everything(engine)[1:] == old
    if not partitioned:
        assert structure(engine) == before


def everything(engine: sa.Engine) -> list[dict[str, Any]]:
    """All rows of `calls` by the columns that there are."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM calls ORDER BY id").mappings()
        return [dict(row) for row in rows]


def test_only_a_file_is_upgraded_without_asking(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        migrate.ensure(engine)
        assert migrate.current(engine) == REVISION
    else:
        with pytest.raises(SchemaOutOfDateError):
            migrate.ensure(engine)
        assert migrate.current(engine) is None


def test_a_newer_database_is_refused_and_left_as_it_is(engine: sa.Engine) -> None:
    migrate.upgrade(engine)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = structure(engine)
    for refused in (migrate.upgrade, migrate.ensure, migrate.check):
        with pytest.raises(SchemaOutOfDateError, match=r"9999.*pip install --upgrade") as told:
            refused(engine)
        assert told.value.found == "9999"
    assert migrate.current(engine) == "9999"
    assert structure(engine) == before


def test_an_upgrade_that_fails_changes_nothing(engine: sa.Engine) -> None:
    """A table of another application stands in the way of our last one."""
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE journal_dead (x int)")
    before = structure(engine)
    with pytest.raises(StoreError, match="journal_dead"):
        migrate.upgrade(engine)
    assert migrate.current(engine) is None
    assert structure(engine) == before


def test_eight_processes_at_once(engine: sa.Engine) -> None:
    assert upgrade_at_once(engine, 8) == [REVISION] * 8


def test_files_of_one_process_at_once(tmp_path: Path) -> None:
    """Each thread's own: Alembic knows one connection a process."""
    engines = [open_engine(f"sqlite:///{tmp_path}/{number}.db") for number in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(migrate.ensure, engines))
    for engine in engines:
        assert migrate.current(engine) == REVISION
        assert structure(engine) == structure(engines[0])
        engine.dispose()


def test_the_view_shows_calls_readably(engine: sa.Engine) -> None:
    """As text in SQLite; in PostgreSQL in types of its own, which sort and add up."""
    migrate.upgrade(engine)
    store_a_call(
        engine,
        started_us=STARTED,
        billed_picousd=Decimal("0.000000009375"),
        spent_picousd=Decimal("-12.000000000001"),
        upstream_picousd=Decimal(0),
        trace_id=ID,
        span_id=ID[:8],
    )
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT * FROM call_log").mappings().one()
    known = {name: value for name, value in row.items() if value is not None}
    shown = {
        "id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "operation_id": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "started_at": "2026-11-21T01:00:00.000042Z",
        "billed_usd": "0.000000009375",
        "spent_usd": "-12.000000000001",
        "upstream_usd": "0.000000000000",
    }
    assert (
        known.items()
        >= {
            "attempt": 1,
            "host": "openrouter.ai",
            "outcome": "completed",
            "trace_id": "000102030405060708090a0b0c0d0e0f",
            "span_id": "0001020304050607",
        }.items()
    )
    if engine.dialect.name == "sqlite":
        assert known.items() >= shown.items()
    else:
        assert {name: type(known[name]) for name in shown} == {
            "id": UUID,
            "operation_id": UUID,
            "started_at": datetime,
            "billed_usd": Decimal,
            "spent_usd": Decimal,
            "upstream_usd": Decimal,
        }
        assert known["started_at"] == STARTED
        for name in shown.keys() - {"started_at"}:
            assert format(known[name], "f" if name.endswith("_usd") else "") == shown[name]
    assert "parent_span_id" in row
    assert "parent_span_id" not in known


def test_the_view_has_every_column_once(engine: sa.Engine) -> None:
    migrate.upgrade(engine)
    columns = [column["name"] for column in sa.inspect(engine).get_columns("call_log")]
    assert columns == [
        column.name.replace("_picousd", "_usd").replace("started_us", "started_at")
        for column in calls.columns
    ]
