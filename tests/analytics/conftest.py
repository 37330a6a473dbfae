"""Databases that hold the calls a test wants: SQLite always, PostgreSQL where a server is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.analytics.proof import Proof
from tests.analytics.proof import proof as prove
from tests.analytics.rows import stored

Store = Callable[[Sequence[dict[str, Any]]], str]


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Store:
    """Put rows into a SQLite file; gives its URL."""
    return lambda rows: stored(f"sqlite:///{tmp_path}/calls.db", rows)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Put rows into each kind of database; gives its URL."""
    if request.param == "sqlite":
        return lambda rows: stored(f"sqlite:///{tmp_path}/calls.db", rows)
    url: str = request.getfixturevalue("postgres_url")
    return lambda rows: stored(url, rows)


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "parquet", "archive"])
def proof(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proof]:
    """The same calls as a frame and before DuckDB, read from each kind of store."""
    kind: str = request.param
    server = request.getfixturevalue("postgres_server") if kind == "postgresql" else None
    with prove(kind, tmp_path_factory.mktemp(kind), server) as made:
        yield made
