"""Where frames are read from: a database by its URL, an engine, or a recorder at work."""

from __future__ import annotations

import logging
from typing import Any, Protocol, runtime_checkable

from tachograph.store import reading

logger = logging.getLogger("tachograph")

FLUSH_SECONDS = 5.0
"""How long a query waits for a recorder to store what it has recorded."""


@runtime_checkable
class Recording(Protocol):
    """A recorder, as far as a frame needs it."""

    @property
    def url(self) -> Any: ...

    def flush(self, timeout: float) -> bool: ...


Source = str | reading.Engine | Recording
"""Where calls are read from: a database URL, a SQLAlchemy engine, or a recorder."""


def database(source: Source) -> Any:
    """The URL or engine to read from, after a recorder has stored what it has."""
    if not isinstance(source, Recording):
        return source
    if not source.flush(FLUSH_SECONDS):
        logger.warning("calls still wait to be stored, and this frame does not have them")
    return source.url
