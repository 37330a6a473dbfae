"""What a dead process left in its journal goes into SQL."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tachograph.store.insert import Ledger
from tachograph.store.set_aside import store_all

if TYPE_CHECKING:
    from tachograph.store.adoption import Adopted
    from tachograph.store.insert import Inserter
    from tachograph.store.rows import RowMaker

logger = logging.getLogger("tachograph")


def replay(adopted: Adopted, inserter: Inserter, row_maker: RowMaker) -> int:
    """Stores what a dead process left: how many calls were not in SQL yet.

    Streams that had begun and never ended are stored as abandoned, since their process died. May
    be broken off at any point and done again.
    """
    stored, dropped = inserter.account(adopted.recorder_id)
    dropped |= {reason: n for reason, n in adopted.counts.items() if n and reason != "made"}
    ledger = Ledger(
        id=adopted.recorder_id,
        began_us=adopted.began_us,
        last_seen_us=time.time_ns() // 1000,
        made=adopted.counts["made"],
        dropped=dropped,
    )
    added = 0
    for calls in adopted.batches():
        known = inserter.known([call.id for call in calls])
        missing = [call for call in calls if call.id not in known]
        if missing:
            added += store_all(inserter, row_maker.rows(missing), ledger, missing)
    if adopted.damaged:
        inserter.set_aside(adopted.damaged, ledger)
        logger.error(
            "tachograph: %d records of a journal cannot be read and are in journal_dead: %s",
            len(adopted.damaged),
            adopted.damaged[0][0],
        )
    settled = stored + added + sum(ledger.dropped.values())
    # a process that dies between writing a call and counting it counts one too few
    ledger.made = max(ledger.made + adopted.interrupted, settled)
    ledger.closed = True
    if adopted.recorder_id:
        inserter.store((), ledger)
    return added
