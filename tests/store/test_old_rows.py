"""Databases with rows go up and down through every revision, and no row changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.partitions import add_months
from tachograph.store.schema import REVISION
from tests.store.old_rows import columns_of, fill, rows_of
from tests.store.racing import upgrade_at_once

FIRST = "0001"
REVISIONS = [found.revision for found in ScriptDirectory("migrations").walk_revisions()][::-1]
"""From the first to the last."""


@pytest.fixture(params=["sqlite", "postgresql", "postgresql partitioned"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database of the first revision, with rows."""
    url = f"sqlite:///{tmp_path}/calls.db"
    if request.param != "sqlite":
        url = request.getfixturevalue("postgres_url")
    engine = open_engine(url)
    partitioned = request.param.endswith("partitioned")
    migrate.upgrade(engine, FIRST, partitioned=partitioned)
    if partitioned:  # four of the months, and the fifth in the default
        add_months(engine, datetime(2026, 11, 2, tzinfo=UTC))
    fill(engine, 300)
    yield engine
    engine.dispose()


def test_no_row_changes_on_the_way_up_and_down(engine: sa.Engine) -> None:
    columns, rows = columns_of(engine), rows_of(engine)
    assert len(rows["calls"]) == 300
    for revision in REVISIONS[1:]:
        migrate.upgrade(engine, revision)
        assert migrate.current(engine) == revision
        assert rows_of(engine, columns) == rows
    newest = rows_of(engine)
    for revision in reversed(REVISIONS[:-1]):
        migrate.downgrade(engine, revision)
        assert migrate.current(engine) == revision
        assert rows_of(engine, columns) == rows
    assert (columns_of(engine), rows_of(engine)) == (columns, rows)
    migrate.upgrade(engine)
    assert rows_of(engine) == newest


def test_the_readable_view_shows_the_old_rows(engine: sa.Engine) -> None:
    migrate.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM call_log").all()
    assert len(rows) == 300


def test_four_processes_upgrade_the_same_rows_at_once(engine: sa.Engine) -> None:
    columns, rows = columns_of(engine), rows_of(engine)
    assert upgrade_at_once(engine, 4) == [REVISION] * 4
    assert rows_of(engine, columns) == rows
