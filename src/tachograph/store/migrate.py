"""The database's revision: which it has, whether this code can use it, and bringing it up.

Revisions live in the top-level `migrations/` (Alembic), in the wheel under `tachograph/migrations`.
An upgrade is one transaction: it happens as a whole or not at all, and of several processes that
upgrade at once one does it and the others find it done.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

import tachograph
from tachograph.errors import SchemaOutOfDateError
from tachograph.store.database import failure, without_secret, write_transaction
from tachograph.store.schema import REVISION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

# any number that others are unlikely to lock: "tachogra" in ASCII
_ADVISORY_LOCK = 0x746163686F677261

# Alembic keeps in a global what it is working on: two recorders of one process that create their
# databases at once would each write into the other's
_alembic = threading.Lock()


def ensure(engine: sa.Engine) -> None:
    """The database is ready for this code when this returns.

    A SQLite file is created and upgraded without asking. A server's database is only checked:
    SchemaOutOfDateError tells its owner which command to run.
    """
    if engine.dialect.name == "sqlite":
        upgrade(engine)
    else:
        check(engine)


def check(engine: sa.Engine) -> None:
    """Nothing, when the database has the revision that this code needs; SchemaOutOfDateError."""
    found = current(engine)
    if found != REVISION:
        raise _out_of_date(engine, found)


def current(engine: sa.Engine) -> str | None:
    """The revision of the database; None when there is nothing of ours in it."""
    # Alembic takes a fifth of a second to import, and most often there is nothing to do
    with _clearly(engine), engine.connect() as connection:
        return _revision(connection)


def upgrade(engine: sa.Engine, revision: str = "head", *, partitioned: bool = False) -> None:
    """Bring the database up to a revision.

    `partitioned` counts when the tables are created in PostgreSQL: see `store/partitions.py`.
    SchemaOutOfDateError, and nothing is changed, when it has one that this code does not know.
    """
    if revision == "head":
        revision = REVISION
    if current(engine) == revision:
        return
    with _clearly(engine), write_transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        # read again: another process may have done it while this one waited for its turn
        found = _revision(connection)
        if found is not None and not _known(found):
            raise _out_of_date(engine, found)
        from alembic import command

        with _alembic:
            command.upgrade(_config(connection, partitioned), revision)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the database back to an older revision, "base" for none; what it added is lost."""
    with _clearly(engine), write_transaction(engine) as connection:
        from alembic import command

        with _alembic:
            command.downgrade(_config(connection), revision)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _out_of_date(engine: sa.Engine, found: str | None) -> SchemaOutOfDateError:
    shown = without_secret(engine.url)
    if found is not None and not _known(found):
        message = (
            f"{shown} has revision {found}, which tachograph {tachograph.__version__} does not "
            "know: a newer version wrote it (pip install --upgrade tachograph), or it belongs to "
            "another application; nothing was changed"
        )
    elif found is None:
        message = (
            f"{shown} has no tables of tachograph, and revision {REVISION} is needed: run "
            f"`tachograph db upgrade --db {shown}`, or name the database that a recorder writes to"
        )
    else:
        message = (
            f"{shown} has revision {found}, and revision {REVISION} is needed: "
            f"run `tachograph db upgrade --db {shown}`"
        )
    return SchemaOutOfDateError(message, found=found, expected=REVISION)


def _known(revision: str) -> bool:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_folder()))
    return revision in {known.revision for known in script.walk_revisions()}


def _config(connection: sa.Connection, partitioned: bool = False) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "partitioned": partitioned})
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    return config


def _folder() -> Path:
    package = Path(tachograph.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


@contextmanager
def _clearly(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
