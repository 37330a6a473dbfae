"""Keeps a fork out of the middle of a transaction.

SQLite's locks are kept in the memory of the process as well as in the kernel. A child that is
forked while its parent writes would take the lock for one of its own, and wait for it for ever.
"""

from __future__ import annotations

import threading

LONGEST_PAUSE_SECONDS = 5.0
"""How long a fork waits for a transaction to end."""


class ForkGate:
    """Held while the database is written (`with gate:`), and by a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forking: int | None = None  # the thread that holds it for a fork

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def pause(self) -> bool:
        """Waits until nothing is being written, and lets nothing begin; False when it took too
        long."""
        if not self._lock.acquire(timeout=LONGEST_PAUSE_SECONDS):
            return False
        self._forking = threading.get_ident()
        return True

    def go_on(self) -> None:
        """This thread has forked the process."""
        if self._forking == threading.get_ident():
            self._forking = None
            self._lock.release()
