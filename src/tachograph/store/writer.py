"""The thread that moves the journal into SQL and spans, in batches; no caller waits for it.

What it cannot store now waits in the journal: it tries again with growing pauses, says so once
when trouble begins and once when it ends, and everything arrives in order.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from tachograph.store.database import BUSY_TIMEOUT_SECONDS, is_locked
from tachograph.store.fork_gate import ForkGate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.core.records import OperationSpan
    from tachograph.store.drain import Drain

logger = logging.getLogger("tachograph")

PAUSE_SECONDS = 0.05
"""Between two batches, while calls come in."""
LONGEST_BACK_OFF_SECONDS = 5.0
SYNC_SECONDS = 0.2
"""While the database is away, what is in the journal is brought to the disk this often."""


class Writer:
    """Drains the journal until it is closed.

    `before_batch` is called on this thread before a batch is taken: calls may end in it.
    """

    def __init__(self, drain: Drain, *, before_batch: Callable[[], None]) -> None:
        self._drain = drain
        self._before_batch = before_batch
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._gate = ForkGate()
        self._bell: SimpleQueue[None] = SimpleQueue()  # may be rung in a destructor
        self._progress = threading.Condition()
        self._hurry = 0  # flushes that wait
        self._stopping = False
        self._trouble: str | None = None
        self._failures = 0
        self.idle = False
        """Nothing is waiting: whoever changes that rings."""

    # --- other threads ---

    def start(self) -> None:
        """Starts the thread; does nothing where it runs, or where the writer was closed."""
        with self._start:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(
                    target=self._run, name="tachograph-writer", daemon=True
                )
                self._thread.start()

    def ring(self) -> None:
        """Something is waiting. Takes no lock, so a destructor may call it."""
        self._bell.put(None)

    def keep(self, span: OperationSpan) -> None:
        """The span of an operation that has ended is to be stored."""
        self._drain.operations.append(span)
        if self.idle:
            self.ring()

    def flush(self, timeout: float) -> bool:
        """Waits until all that waits now is in SQL, and what dead processes left; False when the
        time was not enough."""
        target, operations = self._drain.taken_in, self._drain.operations.taken_in
        with self._progress:
            self._hurry += 1
            self.ring()
            try:
                return self._progress.wait_for(
                    lambda: (
                        self._drain.adopted
                        and self._drain.settled >= target
                        and self._drain.operations.settled >= operations
                    ),
                    timeout,
                )
            finally:
                self._hurry -= 1

    def close(self, timeout: float) -> bool:
        """Stores what waits, for so long at most, and ends the thread; False when calls are left,
        which then stay in the journal."""
        self._stopping = True
        self.ring()
        with self._progress:
            self._progress.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        return self._drain.settled >= self._drain.taken_in

    def before_fork(self) -> None:
        """Closes the connections: a child that inherits one shares SQLite's idea of its locks,
        and what it commits can go into a file that the parent has deleted."""
        if self._gate.pause():
            self._drain.disconnect()

    def after_fork(self) -> None:
        """The parent goes on."""
        self._gate.go_on()

    @property
    def stored(self) -> int:
        return self._drain.stored

    @property
    def dropped(self) -> dict[str, int]:
        """Calls that ended and are not going to be in SQL, by reason."""
        return self._drain.dropped

    @property
    def lag_seconds(self) -> float:
        """For how long the call has waited that has waited longest; 0 when none does."""
        call = self._drain.oldest
        if call is None:
            return 0.0
        return max(0.0, time.time() - call.started_us / 1e6 - (call.latency_seconds or 0.0))

    # --- the thread ---

    def _run(self) -> None:
        while True:
            done = self._round()
            with self._progress:
                self._progress.notify_all()
            if self._stopping and (not done or self._nothing_waits()):
                break
            if not (done and (self._drain.full or self._hurry) and not self._nothing_waits()):
                self._sleep(done)
        self._drain.close_journal()
        try:
            self._patiently(self._drain.write_last_word)
        except Exception as exc:  # nobody is left to try it again
            self._in_trouble(exc)
        self._drain.disconnect()
        with self._progress:
            self._progress.notify_all()

    def _round(self) -> bool:
        """Whether the database let it."""
        try:
            self._patiently(lambda: self._drain.adopt_and_store(self._before_batch))
        except Exception as exc:  # whatever it is: the thread must outlive it
            self._in_trouble(exc)
            return False
        if self._trouble is not None:
            logger.warning("tachograph: %s takes calls again", self._drain.shown)
            self._trouble, self._failures = None, 0
        return True

    def _patiently(self, use: Callable[[], None]) -> None:
        """Uses the database; waits its turn where another process writes, which is no trouble.

        The journal is brought to the disk meanwhile, and the process may fork.
        """
        patience = time.monotonic() + BUSY_TIMEOUT_SECONDS
        while True:
            try:
                with self._gate:
                    use()
            except Exception as exc:
                if not is_locked(exc) or time.monotonic() > patience:
                    raise
            else:
                return
            self._sync()

    def _nothing_waits(self) -> bool:
        self._before_batch()
        return not self._drain.waiting

    def _sleep(self, done: bool) -> None:
        if not done:
            self._back_off()
        elif not self._nothing_waits():
            self._wait(PAUSE_SECONDS)
        else:
            self.idle = True
            if self._nothing_waits() and not self._stopping:
                self._wait(None)
            self.idle = False
            if not self._hurry and not self._stopping:
                self._wait(PAUSE_SECONDS / 5)  # one call rarely comes alone

    def _back_off(self) -> None:
        pause = min(LONGEST_BACK_OFF_SECONDS, 0.1 * 2 ** min(self._failures, 10))
        until = time.monotonic() + pause * random.uniform(0.5, 1.0)  # noqa: S311
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._sync()
            self._wait(min(left, SYNC_SECONDS))

    def _sync(self) -> None:
        with suppress(OSError):
            self._drain.sync()

    def _wait(self, seconds: float | None) -> None:
        """Until the bell rings, for so long at most."""
        with suppress(Empty):
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()

    def _in_trouble(self, exc: Exception) -> None:
        self._failures += 1
        reason = str(getattr(exc, "orig", None) or exc)
        if self._trouble is None:
            logger.error(
                "tachograph: %s cannot be written, calls wait in the journal: %s",
                self._drain.shown,
                reason,
            )
        self._trouble = reason
