"""What `/generation` said of calls: which to ask for, and what to fill in."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from tachograph.store.schema import reconciliations

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def read_totals(connection: Connection) -> dict[str, Decimal]:
    """`total_cost` of every generation that was found, by the id of its call."""
    query = sa.select(reconciliations.c.call_id, reconciliations.c.total_picousd).where(
        reconciliations.c.total_picousd.is_not(None)
    )
    return {str(UUID(bytes=id_)): total for id_, total in connection.execute(query)}
