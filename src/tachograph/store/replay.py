"""What a dead process left in its journal goes into SQL."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tachograph.store.insert import Ledger

if TYPE_CHECKING:
    from tachograph.store.adoption import Adopted
    from tachograph.store.insert import Inserter
    from tachograph.store.rows import RowMaker

logger = logging.getLogger("tachograph")

BATCH = 1000
"""Calls a transaction."""

UNSTORABLE = "unstorable"
"""Reason of a call that the database refuses, and of a journal record that cannot be read."""


def replay(adopted: Adopted, inserter: Inserter, row_maker: RowMaker) -> int:
    """Stores what a dead process left: how many calls were not in SQL yet.

    Streams that had begun and never ended are stored as abandoned, since their process died.
    """
    calls = [*adopted.ended, *adopted.interrupted]
    known = inserter.known([call.id for call in calls])
    missing = [call for call in calls if call.id not in known]
    now_us = time.time_ns() // 1000
    if adopted.damaged:
        inserter.set_aside(adopted.damaged, adopted.recorder_id, now_us)
        logger.error(
            "tachograph: %d records of a journal cannot be read and are in journal_dead: %s",
            len(adopted.damaged),
            adopted.damaged[0][0],
        )
    dropped = {r: n for r, n in adopted.counts.items() if n and r != "made"}
    if adopted.damaged:
        dropped[UNSTORABLE] = len(adopted.damaged)
    ledger = Ledger(
        id=adopted.recorder_id,
        began_us=adopted.began_us,
        last_seen_us=now_us,
        made=adopted.counts["made"] + len(adopted.interrupted),
        dropped=dropped,
        closed=True,
    )
    added = 0
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        added += inserter.store(row_maker.rows(batch), ledger, batch)
    if not missing and adopted.recorder_id:
        inserter.store((), ledger)
    return added
