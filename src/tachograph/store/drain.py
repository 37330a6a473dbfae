"""The journal into SQL, a batch at a time: first what dead processes left, then its own calls."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tachograph.store import migrate
from tachograph.store.adoption import adopt
from tachograph.store.database import open_engine, without_secret
from tachograph.store.insert import UNSTORABLE, Inserter, Ledger
from tachograph.store.operation_spans import WaitingOperations
from tachograph.store.prices import PriceBook
from tachograph.store.replay import replay
from tachograph.store.rows import RowMaker
from tachograph.store.set_aside import store_all
from tachograph.store.waiting import BATCH, Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.core.records import Call, Usage
    from tachograph.store.journal import Journal
    from tachograph.store.rows import Row, Spans

logger = logging.getLogger("tachograph")

BUSY_SECONDS = 0.2
"""How long one try waits for another process that writes to a SQLite file."""


class Drain:
    """Takes calls from the journal and stores them. Belongs to one thread; its numbers and flags
    may be read by all."""

    def __init__(
        self,
        url: sa.URL | str,
        journal: Journal,
        ledger: Ledger,
        *,
        read_usage: Callable[[Call], Usage | None],
        spans: Spans,
    ) -> None:
        self.shown = without_secret(url)
        """The database as people may see it."""
        self._engine = open_engine(url, busy_seconds=BUSY_SECONDS)
        self._journal = journal
        self._ledger = ledger
        self._row_maker = RowMaker(read_usage, PriceBook(self._engine), spans, journal.give_way)
        self._inserter: Inserter | None = None  # None: the database is not open yet
        self._batch: list[Pending] = []
        self._rows: list[Row] = []
        self.operations = WaitingOperations()
        self.adopted = journal.folder is None
        """What dead processes left has been taken up."""
        self.full = False
        """The last batch was as large as one may be, so there is likely to be another."""
        self.stored = 0
        self.unstorable = 0
        self.settled = 0
        """Calls taken from the journal and done with."""

    def adopt_and_store(self, before_batch: Callable[[], None]) -> None:
        """Opens the database, takes up what the dead left, and stores one batch.

        `before_batch` is called before the batch is taken: calls may end in it. Raises whatever
        stood in the way; the batch is then kept for the next time, with the spans that were made.
        """
        inserter = self._open()
        if not self.adopted:
            self._adopt(inserter)
            self.adopted = True
        before_batch()
        if not self._batch:
            self._batch = self._journal.take(BATCH)
            self._rows = []
        self.full = len(self._batch) == BATCH
        if self._batch:
            if not self._rows:
                self._rows = self._row_maker.rows([p.call for p in self._batch])
            self._store(inserter)
        self.operations.store(self._engine)

    @property
    def taken_in(self) -> int:
        """Calls that have come so far; `settled` follows."""
        return self._journal.taken_in

    @property
    def waiting(self) -> bool:
        """Calls are left to be stored, or spans of operations."""
        return bool(self._batch) or self._journal.waiting or bool(self.operations)

    @property
    def dropped(self) -> dict[str, int]:
        """Calls that ended and are not going to be in SQL, by reason."""
        counts = {**self._journal.counts, UNSTORABLE: self.unstorable}
        return {reason: n for reason, n in counts.items() if n and reason != "made"}

    @property
    def oldest(self) -> Call | None:
        """The call that has waited longest."""
        batch = self._batch
        return batch[0].call if batch else self._journal.oldest

    def sync(self) -> None:
        """Brings to the disk what waits. Raises OSError."""
        self._batch = self._journal.sync(self._batch)

    def disconnect(self) -> None:
        """Closes the connections; the next batch opens others."""
        self._engine.dispose()

    def close_journal(self) -> None:
        """Lets the journal go; what is not stored stays in it."""
        self._ledger.closed = not self.waiting
        self._journal.close(self._batch)

    def write_last_word(self) -> None:
        """The ledger as it stands at the end."""
        if self._inserter is not None:
            self._inserter.store((), self._current_ledger())

    def _open(self) -> Inserter:
        if self._inserter is None:
            migrate.ensure(self._engine)
            self._inserter = Inserter(self._engine, self._journal.give_way)
        return self._inserter

    def _adopt(self, inserter: Inserter) -> None:
        assert self._journal.folder is not None
        for adopted in adopt(self._journal.folder):
            try:
                replay(adopted, inserter, self._row_maker)
            except BaseException:
                adopted.release()
                raise
            adopted.delete()

    def _store(self, inserter: Inserter) -> None:
        ledger = self._current_ledger()
        try:
            store_all(inserter, self._rows, ledger, [p.call for p in self._batch])
        finally:  # what was set aside stays so, though the rest has to be tried again
            self.unstorable = ledger.dropped.get(UNSTORABLE, 0)
        batch, self._batch, self._rows = self._batch, [], []
        self._journal.settled(batch)
        self.settled += len(batch)
        # not what was added now: a commit whose answer was lost has stored some before
        self.stored = self.settled - self.unstorable

    def _current_ledger(self) -> Ledger:
        ledger = self._ledger
        ledger.made = self._journal.counts["made"]
        ledger.dropped = self.dropped
        ledger.last_seen_us = time.time_ns() // 1000
        return ledger
