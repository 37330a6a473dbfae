"""Processes that upgrade one database at the same moment."""

from __future__ import annotations

import subprocess
import sys

import sqlalchemy as sa

_PROGRAM = """
import sys
from tachograph.store import database, migrate
engine = database.open_engine(sys.argv[1])
sys.stdin.readline()
migrate.upgrade(engine)
print(migrate.current(engine))
"""


def upgrade_at_once(engine: sa.Engine, number: int) -> list[str]:
    """What so many processes printed: the revision that each found then, or how it failed."""
    url = engine.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(number)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in processes]
