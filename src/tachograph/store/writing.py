"""An engine for commands that write: the database is made ready, and closed again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tachograph.store.database import open_engine
from tachograph.store.migrate import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine


@contextmanager
def writing(url: str) -> Iterator[Engine]:
    """An engine on a database of this code's revision; StoreError where that cannot be had."""
    engine = open_engine(url)
    try:
        ensure(engine)
        yield engine
    finally:
        engine.dispose()
