"""Failures of the recording itself: each kind is logged once, so that a log does not fill."""

from __future__ import annotations

import logging

_MOST_KINDS = 100

logger = logging.getLogger("tachograph")


class Troubles:
    """Is told of every failure, on any thread, and logs what it has not seen yet."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._kinds: set[str] = set()

    def __call__(self, exc: Exception) -> None:
        kind = f"{type(exc).__name__}: {exc}"[:200]
        if kind not in self._kinds and len(self._kinds) < _MOST_KINDS:
            self._kinds.add(kind)
            logger.error("tachograph: %s: %s", self._what, kind, exc_info=exc)
