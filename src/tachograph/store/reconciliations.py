"""What `/generation` said of calls: which to ask for, and what an answer fills in.

Only what was unknown is filled, and `cost_source` becomes `reconciled`. A generation that is not
there long after its call is marked, and not asked for again.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.core.records import Usage
from tachograph.core.units import from_microseconds
from tachograph.store.bills import LONGEST_JOB_US
from tachograph.store.columns import PRICED, record_column
from tachograph.store.database import failure, write_transaction
from tachograph.store.schema import calls, reconciliations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from sqlalchemy.engine import Connection, Engine

    from tachograph.openrouter.generation import Generation
    from tachograph.store.prices import PriceBook, PricedCall

_AT_ONCE = 500


class Unreconciled(msgspec.Struct, frozen=True):
    """A call without a bill, whose generation may be asked for."""

    call_id: bytes
    generation_id: str
    host: str
    started_us: int


def find_unreconciled(
    engine: Engine, *, since_us: int = 0, again: bool = False
) -> list[Unreconciled]:
    """The calls that began at `since_us` or later and were never billed, the oldest first.

    Of several calls with one generation (a job that was polled) it is the first, and none when
    another of them has the bill: so nothing is counted twice. Refused requests have no generation.
    `again` asks for those as well that were marked. StoreError when the database fails.
    """
    query = _UNBILLED.where(calls.c.id >= uuid7_floor(since_us))
    if not again:
        query = query.where(calls.c.id.not_in(sa.select(reconciliations.c.call_id)))
    try:
        with engine.connect() as connection:
            first: dict[str, Unreconciled] = {}
            for row in connection.execute(query):
                first.setdefault(row.generation_id, Unreconciled(*row))
            for generation_id in _billed(connection, list(first), since_us):
                del first[generation_id]
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return list(first.values())


def fill_in(
    engine: Engine, book: PriceBook, call_id: bytes, found: Generation, asked_us: int
) -> bool:
    """Fills in what a generation tells of its call; False when the call is not stored yet.

    StoreError when the database fails.
    """
    try:
        book.refresh()
        with write_transaction(engine) as connection:
            row = connection.execute(_ROW.where(calls.c.id == call_id)).one_or_none()
            if row is None:
                return False
            if row.billed_usd is None:
                connection.execute(
                    sa.update(calls).where(calls.c.id == call_id).values(_filled(book, row, found))
                )
            _mark(connection, call_id, asked_us, found.usage.billed_usd)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error
    return True


def mark_absent(engine: Engine, call_id: bytes, asked_us: int) -> None:
    """Its generation is not known and never will be. StoreError when the database fails."""
    try:
        with write_transaction(engine) as connection:
            _mark(connection, call_id, asked_us, None)
    except sa.exc.DBAPIError as error:
        raise failure(engine.url, error) from error


def read_totals(connection: Connection) -> dict[str, Decimal]:
    """`total_cost` of every generation that was found, by the id of its call."""
    query = sa.select(reconciliations.c.call_id, reconciliations.c.total_picousd).where(
        reconciliations.c.found
    )
    return {str(UUID(bytes=id_)): total for id_, total in connection.execute(query)}


def _billed(connection: Connection, generation_ids: Sequence[str], since_us: int) -> Iterator[str]:
    """Those of the generations for which another call has the bill."""
    for start in range(0, len(generation_ids), _AT_ONCE):
        query = (
            sa.select(calls.c.generation_id)
            .where(
                calls.c.id >= uuid7_floor(since_us - LONGEST_JOB_US),
                calls.c.billed_picousd.is_not(None),
                calls.c.generation_id.in_(generation_ids[start : start + _AT_ONCE]),
            )
            .distinct()
        )
        yield from connection.execute(query).scalars()


def _filled(book: PriceBook, row: Any, found: Generation) -> dict[str, Any]:
    """The new values of a row: what it had, else what the generation says."""
    told = {
        "provider": found.provider,
        "service_tier": found.service_tier,
        "finish_reason": found.finish_reason,
        "native_finish_reason": found.native_finish_reason,
        **msgspec.structs.asdict(found.usage),
    }
    now = row._asdict()
    now.update((name, value) for name, value in told.items() if now[name] is None)
    usage = Usage(**{name: now[name] for name in Usage.__struct_fields__})
    cost = book.cost(cast("PricedCall", SimpleNamespace(**now)), usage)
    if now["computed_usd"] is None:
        now["computed_usd"], now["price_id"] = cost.computed_usd, cost.price_id
    now["spent_usd"], now["cost_source"] = cost.spent_usd, cost.cost_source
    if cost.cost_source == "billed":
        now["cost_source"] = "reconciled"
    return {
        name.replace("_usd", "_picousd") if name.endswith("_usd") else name: now[name]
        for name in (*told, "computed_usd", "price_id", "spent_usd", "cost_source")
    }


def _mark(connection: Connection, call_id: bytes, asked_us: int, total: Decimal | None) -> None:
    connection.execute(sa.delete(reconciliations).where(reconciliations.c.call_id == call_id))
    connection.execute(
        sa.insert(reconciliations).values(
            call_id=call_id,
            asked_us=from_microseconds(asked_us),
            found=total is not None,
            total_picousd=total,
        )
    )


_UNBILLED = (
    sa.select(
        calls.c.id,
        calls.c.generation_id,
        calls.c.host,
        sa.type_coerce(calls.c.started_us, sa.BigInteger),
    )
    .where(
        calls.c.billed_picousd.is_(None),
        calls.c.generation_id.is_not(None),
        sa.func.coalesce(calls.c.http_status, 0) < 400,
    )
    .order_by(calls.c.id)
)

_ROW = sa.select(
    *map(
        record_column,
        (
            "finish_reason",
            "native_finish_reason",
            "computed_usd",
            "price_id",
            *PRICED,
            *Usage.__struct_fields__,
        ),
    )
)
