"""The database: its tables, which lie in `tables/` by topic, and the revision of this code.

Money is BIGINT pico-dollars (`..._picousd`, 10^-12 USD), instants are BIGINT microseconds since
1970 UTC (`..._us`), ids are 16 bytes whose order is the order of time. Unit prices are decimal
text, since they may be finer than a pico-dollar and are never summed in SQL.
The view `call_log` shows calls readably. What each column means is in its `doc`; `docs/columns.md`
is made from it.
"""

from tachograph.store.tables.calls import calls, contents, operation_spans
from tachograph.store.tables.ledger import journal_dead, recorders
from tachograph.store.tables.metadata import metadata
from tachograph.store.tables.prices import UNIT_PRICES, prices, reconciliations
from tachograph.store.tables.rollups import rollup_changes, rollup_gaps, rollup_progress, rollups

__all__ = [
    "REVISION",
    "UNIT_PRICES",
    "calls",
    "contents",
    "journal_dead",
    "metadata",
    "operation_spans",
    "prices",
    "reconciliations",
    "recorders",
    "rollup_changes",
    "rollup_gaps",
    "rollup_progress",
    "rollups",
]

REVISION = "0004"
"""The Alembic revision that this code reads and writes."""
