"""`tachograph doctor` asked by a role of PostgreSQL that may not read everything."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tests.cli.conftest import Run


@pytest.fixture
def reader_url(postgres_url: str) -> Iterator[str]:
    """A role that may read the revision and the ledger, and no calls."""
    role = f"tachograph_reader_{uuid4().hex[:8]}"
    owner = open_engine(postgres_url)
    upgrade(owner)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT SELECT ON alembic_version, recorders TO {role}")
    yield owner.url.set(username=role).render_as_string(hide_password=False)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
    owner.dispose()


def test_what_a_role_may_not_read_is_told_beside_what_was_found(
    tachograph: Run, reader_url: str
) -> None:
    ran = tachograph("doctor", "--db", reader_url, "--format", "json")
    *others, last = ran.json
    assert "ledger" in {finding["about"] for finding in others}
    assert (last["about"], last["state"], ran.status) == ("rest", "advice", 0)
    assert "permission denied" in last["says"]
