"""Fixtures of the store: a database of each kind, empty or upgraded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tachograph.store import migrate
from tachograph.store.database import open_engine


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database of each kind with nothing in it."""
    url = f"sqlite:///{tmp_path}/calls.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty: sa.Engine) -> sa.Engine:
    """An upgraded database of each kind."""
    migrate.upgrade(empty)
    return empty
