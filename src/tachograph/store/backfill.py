"""Costs for calls that were stored before their price was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from tachograph.core.records import Usage
from tachograph.store.columns import PRICED, record_column
from tachograph.store.database import failure, write_transaction
from tachograph.store.prices import PriceBook
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Engine

    from tachograph.store.prices import PricedCall

_BATCH = 1000


def backfill(engine: Engine, progress: Callable[[int], object] | None = None) -> int:
    """Fills `computed_usd` of calls that lack one, by the prices that are known now.

    `spent_usd` and `cost_source` are filled where they were unknown, and `model` is looked up
    again; nothing else changes. Returns how many calls were filled; `progress` is told after each
    batch how many more were looked at. StoreError when the database fails.
    """
    filled = 0
    try:
        for looked_at, changed in _batches(engine):
            filled += changed
            if progress is not None:
                progress(looked_at)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return filled


def _batches(engine: Engine) -> Iterator[tuple[int, int]]:
    """Looks through the calls; yields how many a batch held and how many it filled."""
    book = PriceBook(engine)
    query = _LACKING
    while True:
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        changes = [change for row in rows if (change := _change(book, row)) is not None]
        if changes:
            with write_transaction(engine) as connection:
                connection.execute(_FILL, changes)
        yield len(rows), len(changes)
        query = _LACKING.where(calls.c.id > rows[-1].id)


def _change(book: PriceBook, row: Any) -> dict[str, Any] | None:
    usage = Usage(**{name: getattr(row, name) for name in Usage.__struct_fields__})
    cost = book.cost(cast("PricedCall", row), usage)
    if cost.computed_usd is None:
        return None
    known = row.cost_source != "unknown"
    return {
        "call_id": row.id,
        "seen_source": row.cost_source,
        "new_model": cost.model,
        "new_computed": cost.computed_usd,
        "new_price_id": cost.price_id,
        "new_spent": row.spent_usd if known else cost.spent_usd,
        "new_source": row.cost_source if known else cost.cost_source,
    }


_LACKING = (
    sa.select(
        *map(record_column, ("id", "cost_source", "spent_usd", *PRICED, *Usage.__struct_fields__))
    )
    .where(
        calls.c.computed_picousd.is_(None),
        calls.c.input_tokens.is_not(None) | calls.c.output_tokens.is_not(None),
    )
    .order_by(calls.c.id)
    .limit(_BATCH)
)

# The conditions keep out of the way of a reconciliation that runs at the same time.
_FILL = (
    sa.update(calls)
    .where(
        calls.c.id == sa.bindparam("call_id"),
        calls.c.computed_picousd.is_(None),
        calls.c.cost_source == sa.bindparam("seen_source"),
    )
    .values(
        model=sa.bindparam("new_model"),
        computed_picousd=sa.bindparam("new_computed"),
        price_id=sa.bindparam("new_price_id"),
        spent_picousd=sa.bindparam("new_spent"),
        cost_source=sa.bindparam("new_source"),
    )
)
