"""One bad row does not stop a batch: it is set aside, counted and told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tachograph.core.records import Call
    from tachograph.store.insert import Inserter, Ledger
    from tachograph.store.rows import Row

logger = logging.getLogger("tachograph")

_REFUSALS = (sa.exc.IntegrityError, sa.exc.DataError, OverflowError, ValueError)


def store_all(
    inserter: Inserter, rows: Sequence[Row], ledger: Ledger, calls: Sequence[Call]
) -> int:
    """Stores these rows, of these calls: how many were not there yet.

    Those that the database refuses go to `journal_dead`, and are counted in the ledger.
    """
    try:
        return inserter.store(rows, ledger, calls)
    except Exception as exc:
        if not _is_refusal(exc):
            raise
        cause = exc
    added = 0
    for call, row in zip(calls, rows, strict=True):
        try:
            added += inserter.store([row], ledger, [call])
        except Exception as exc:
            if not _is_refusal(exc):
                raise
            cause = exc
            # without its content, which nobody would look for there
            record = msgspec.msgpack.encode(msgspec.structs.replace(call, content=None))
            inserter.set_aside([(str(exc), record)], ledger)
    inserter.store((), ledger)
    logger.error("tachograph: calls that cannot be stored are in journal_dead: %s", cause)
    return added


def _is_refusal(error: Exception) -> bool:
    """Whether the row is to blame: it would be refused again."""
    too_large = str(getattr(getattr(error, "orig", None), "sqlstate", "")).startswith("54")
    return too_large or isinstance(error, _REFUSALS)  # 54: for an index, for instance
