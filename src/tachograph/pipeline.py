"""What takes the calls of one process on: its journal, and the writer that empties it."""

from __future__ import annotations

import os
import platform
from time import time_ns
from typing import TYPE_CHECKING

from tachograph.core.ids import uuid7
from tachograph.openrouter.usage import read_usage
from tachograph.status import Status
from tachograph.store.drain import Drain
from tachograph.store.folder import journal_folder
from tachograph.store.insert import Ledger
from tachograph.store.journal import Journal
from tachograph.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tachograph.settings import Settings
    from tachograph.store.rows import Spans


def journal_and_writer(
    settings: Settings, *, recording: bool, spans: Spans, before_batch: Callable[[], None]
) -> tuple[Journal, Writer]:
    """A journal with an id of its own, and a writer that has not been started.

    Nothing is written to disk where there is no `recording`. StoreError where the URL is no
    database's, or the journal's folder cannot be written.
    """
    began_us = time_ns() // 1000
    recorder_id = uuid7(began_us)
    folder = None
    if recording and settings.durability != "memory":
        folder = journal_folder(settings.db, settings.journal_dir)
    journal = Journal(folder, recorder_id, began_us, sync=settings.durability == "power")
    ledger = Ledger(
        id=recorder_id,
        began_us=began_us,
        last_seen_us=began_us,
        made=0,
        dropped={},
        host=platform.node() or None,
        pid=os.getpid(),
        service_name=settings.service_name,
    )
    drain = Drain(settings.db, journal, ledger, read_usage=read_usage, spans=spans)
    return journal, Writer(drain, before_batch=before_batch)


def status_of(journal: Journal, writer: Writer, *, in_flight: int) -> Status:
    """The ledger of the calls that went this way."""
    dropped = writer.dropped
    made, stored = journal.counts["made"], writer.stored
    return Status(
        made=made,
        stored=stored,
        waiting=made - stored - sum(dropped.values()),
        dropped=dropped,
        in_flight=in_flight,
        journal_bytes=journal.size,
    )
