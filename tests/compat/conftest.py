"""An AiCore database of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.aicore import aicore_database


@pytest.fixture(params=["sqlite", "postgresql"])
def aicore(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with AiCore's tables, and nothing in them."""
    if request.param == "sqlite":
        return aicore_database(f"sqlite:///{tmp_path}/aicore.db")
    return aicore_database(request.getfixturevalue("postgres_url"))
