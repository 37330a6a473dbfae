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

import sqlalchemy as sa

from tachograph.store import migrate
from tachograph.store.adoption import adopt
from tachograph.store.database import open_engine, without_secret
from tachograph.store.fork_gate import ForkGate
from tachograph.store.insert import Inserter, Ledger, as_records
from tachograph.store.prices import PriceBook
from tachograph.store.replay import BATCH, UNSTORABLE, replay
from tachograph.store.rows import RowMaker
from tachograph.store.waiting import Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Engine

    from tachograph.core.records import Call, Usage
    from tachograph.store.journal import Journal
    from tachograph.store.rows import Row, Spans

logger = logging.getLogger("tachograph")

PAUSE_SECONDS = 0.05
"""Between two batches, while calls come in."""
LONGEST_BACK_OFF_SECONDS = 5.0
SYNC_SECONDS = 0.2
"""While the database is away, what is in the journal is brought to the disk this often."""


class Writer:
    """Takes calls from the journal and stores them, until it is closed.

    `before_batch` is called on this thread before a batch is taken: calls may end in it.
    """

    def __init__(
        self,
        url: sa.URL | str,
        journal: Journal,
        ledger: Ledger,
        *,
        read_usage: Callable[[Call], Usage | None],
        spans: Spans,
        before_batch: Callable[[], None],
    ) -> None:
        self._engine: Engine = open_engine(url)
        self._shown = without_secret(url)
        self._journal = journal
        self._ledger = ledger
        self._before_batch = before_batch
        self._row_maker = RowMaker(read_usage, PriceBook(self._engine), spans)
        self._inserter: Inserter | None = None  # None: the database is not open yet
        self._adopted = journal.folder is None
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._gate = ForkGate()
        self._bell: SimpleQueue[None] = SimpleQueue()  # may be rung in a destructor
        self._progress = threading.Condition()
        self._hurry = 0  # flushes that wait
        self._stopping = False
        self._trouble: str | None = None
        self._failures = 0
        self._batch: list[Pending] = []
        self._rows: list[Row] = []
        self.idle = False
        """Nothing is waiting: whoever changes that rings."""
        self.stored = 0
        self.unstorable = 0
        self.settled = 0
        """Calls taken from the journal and done with."""

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

    def flush(self, timeout: float) -> bool:
        """Waits until all that waits now is in SQL, and what dead processes left; False when the
        time was not enough."""
        target = self._journal.taken_in
        with self._progress:
            self._hurry += 1
            self.ring()
            try:
                return self._progress.wait_for(
                    lambda: self._adopted and self.settled >= target, timeout
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
        return self.settled >= self._journal.taken_in

    def before_fork(self) -> None:
        """Closes the connections: a child that inherits one shares SQLite's idea of its locks,
        and what it commits can go into a file that the parent has deleted."""
        if self._gate.pause():
            self._engine.dispose()

    def after_fork(self) -> None:
        """The parent goes on."""
        self._gate.go_on()

    # --- the thread ---

    def _run(self) -> None:
        while True:
            with self._gate:
                done = self._round()
            if self._stopping and (not done or self._nothing_waits()):
                break
            if not (done and (self._batch_is_full or self._hurry) and not self._nothing_waits()):
                self._sleep(done)
        if self._inserter is not None:
            with self._gate:
                self._write_last_word()
        self._journal.close(self._batch)
        self._engine.dispose()
        with self._progress:
            self._progress.notify_all()

    def _nothing_waits(self) -> bool:
        self._before_batch()
        return not self._batch and not self._journal.waiting

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
            with suppress(OSError):
                self._batch = self._journal.sync(self._batch)
            self._wait(min(left, SYNC_SECONDS))

    def _wait(self, seconds: float | None) -> None:
        """Until the bell rings, for so long at most."""
        with suppress(Empty):
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()

    _batch_is_full = False

    def _round(self) -> bool:
        """Opens, adopts, stores one batch; False when the database did not let it."""
        try:
            inserter = self._open()
            if not self._adopted:
                self._adopt(inserter)
                with self._progress:
                    self._adopted = True
                    self._progress.notify_all()
            self._before_batch()
            if not self._batch:
                self._batch = self._journal.take(BATCH)
                self._rows = []
            self._batch_is_full = len(self._batch) == BATCH
            if self._batch:
                if not self._rows:
                    self._rows = self._row_maker.rows([p.call for p in self._batch])
                self._store(inserter)
        except Exception as exc:  # whatever it is: the thread must outlive it
            self._in_trouble(exc)
            return False
        if self._trouble is not None:
            logger.warning("tachograph: %s takes calls again", self._shown)
            self._trouble, self._failures = None, 0
        return True

    def _open(self) -> Inserter:
        if self._inserter is None:
            migrate.ensure(self._engine)
            self._inserter = Inserter(self._engine)
        return self._inserter

    def _store(self, inserter: Inserter) -> None:
        try:
            calls = [pending.call for pending in self._batch]
            added = inserter.store(self._rows, self._current_ledger(), calls)
        except (sa.exc.IntegrityError, sa.exc.DataError, OverflowError, ValueError) as exc:
            added = self._store_one_by_one(inserter, exc)
        batch, self._batch, self._rows = self._batch, [], []
        self._journal.settled(batch)
        with self._progress:
            self.stored += added
            self.settled += len(batch)
            self._progress.notify_all()

    def _store_one_by_one(self, inserter: Inserter, cause: Exception) -> int:
        """One bad row does not stop a batch: it is set aside, and told."""
        added = 0
        for pending, row in zip(self._batch, self._rows, strict=True):
            try:
                added += inserter.store([row], self._current_ledger(), [pending.call])
            except (sa.exc.IntegrityError, sa.exc.DataError, OverflowError, ValueError) as exc:
                cause = exc
                self._set_aside(inserter, as_records([pending.call], str(exc)))
        logger.error("tachograph: calls that cannot be stored are in journal_dead: %s", cause)
        return added

    def _set_aside(self, inserter: Inserter, records: list[tuple[str, bytes]]) -> None:
        inserter.set_aside(records, self._ledger.id, time.time_ns() // 1000)
        self.unstorable += len(records)

    def _adopt(self, inserter: Inserter) -> None:
        assert self._journal.folder is not None
        for adopted in adopt(self._journal.folder):
            try:
                replay(adopted, inserter, self._row_maker)
            except BaseException:
                adopted.release()
                raise
            adopted.delete()

    def _current_ledger(self) -> Ledger:
        ledger = self._ledger
        ledger.made = self._journal.counts["made"]
        ledger.dropped = self.dropped()
        ledger.last_seen_us = time.time_ns() // 1000
        return ledger

    def dropped(self) -> dict[str, int]:
        """Calls that ended and are not going to be in SQL, by reason."""
        counts = {**self._journal.counts, UNSTORABLE: self.unstorable}
        return {reason: n for reason, n in counts.items() if n and reason != "made"}

    def _write_last_word(self) -> None:
        """The ledger as it stands at the end."""
        assert self._inserter is not None
        self._ledger.closed = self._nothing_waits()
        try:
            self._inserter.store((), self._current_ledger())
        except (sa.exc.SQLAlchemyError, OSError) as exc:
            self._in_trouble(exc)

    def _in_trouble(self, exc: Exception) -> None:
        self._failures += 1
        reason = str(getattr(exc, "orig", None) or exc)
        if self._trouble is None:
            logger.error(
                "tachograph: %s cannot be written, calls wait in the journal: %s",
                self._shown,
                reason,
            )
        self._trouble = reason

    @property
    def lag_seconds(self) -> float:
        """For how long the call has waited that has waited longest; 0 when none does."""
        batch = self._batch
        call = batch[0].call if batch else self._journal.oldest
        if call is None:
            return 0.0
        return max(0.0, time.time() - call.started_us / 1e6 - (call.latency_seconds or 0.0))
