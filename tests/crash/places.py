"""Databases for processes that are killed: what is in them, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tachograph import Recorder
from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.folder import journal_folder
from tachograph.store.ledger import read_ledger


class Place:
    """A database, and the folder of its journals."""

    def __init__(self, url: str, journals: Path) -> None:
        self.url = url
        self.engine = open_engine(url)
        self.folder = journal_folder(url, journals)

    def take_up(self) -> None:
        """Another process comes, stores what the dead left, and goes."""
        with Recorder(self.url) as recorder:
            assert recorder.flush(60)

    def calls(self) -> list[sa.Row[Any]]:
        """Generation, outcome and kind of error of each call."""
        with self.engine.connect() as connection:
            query = "SELECT generation_id, outcome, error_type FROM calls"
            return list(connection.exec_driver_sql(query))

    def assert_whole(self) -> None:
        """The database's own check of itself."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                assert connection.exec_driver_sql("PRAGMA integrity_check").all() == [("ok",)]
                return
            available = "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"
            if connection.exec_driver_sql(available).first():
                connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS amcheck")
                connection.exec_driver_sql(
                    "SELECT bt_index_check(indexrelid, true) FROM pg_index"
                    " JOIN pg_class ON pg_class.oid = indexrelid"
                    " WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'"
                )

    def assert_settled(self, calls: int) -> None:
        """The ledger knows of so many calls, all of them stored, and no journal is left."""
        ledger = read_ledger(self.engine, self.folder)
        assert (ledger.total.made, ledger.total.stored, ledger.total.dropped) == (calls, calls, {})
        assert ledger.journals == 0
        assert list(self.folder.iterdir()) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """An empty database of each kind, of the revision that the code needs."""
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path / "journals"))
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    place = Place(url, tmp_path / "journals")
    migrate.upgrade(place.engine)
    yield place
    place.engine.dispose()
