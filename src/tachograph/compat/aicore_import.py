"""AiCore's operations into `calls` and `contents`: a second time adds only what is new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tachograph.analytics.aicore_frame import PROVIDER
from tachograph.compat.aicore_calls import call_of, cost_of, usage_of
from tachograph.errors import StoreError
from tachograph.store.aicore import is_at_another_time, operation_batches
from tachograph.store.insert import Inserter
from tachograph.store.prices import PriceBook
from tachograph.store.rows import COLUMNS, call_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from sqlalchemy.engine import Engine

    from tachograph.core.records import Call
    from tachograph.store.rows import Row

_SPENT = COLUMNS.index("spent_picousd")


def import_aicore(
    aicore: Engine,
    engine: Engine,
    zone: tzinfo,
    *,
    content: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Counter[str]:
    """Brings over the operations of OpenRouter; `progress` is told how many more were read.

    Counts `read`, `added`, `known` (there already), `other` (of other providers), `untimed`
    (without a timestamp that can be read) and `unpriced` (without a cost). Calls are known
    again by AiCore's operation id and time: StoreError when they were imported before as of
    another time zone.
    """
    counts: Counter[str] = Counter()
    book, inserter = PriceBook(engine), Inserter(engine)
    book.refresh()
    for batch in operation_batches(aicore):
        calls: list[Call] = []
        rows: list[Row] = []
        for operation in batch:
            if operation.provider != PROVIDER:
                counts["other"] += 1
                continue
            try:
                call = call_of(operation, zone, content=content)
            except (ValueError, OverflowError):
                counts["untimed"] += 1
                continue
            calls.append(call)
            rows.append(_row(call, operation, book))
        if calls and not counts["added"] + counts["known"]:
            _refuse_another_zone(engine, calls[0])
        added = inserter.store(rows, None, calls)
        counts.update(read=len(batch), added=added, known=len(rows) - added)
        counts["unpriced"] += sum(row[_SPENT] is None for row in rows)
        if progress is not None:
            progress(len(batch))
    return counts


def _row(call: Call, operation: Any, book: PriceBook) -> Row:
    """Priced from our own history where it reaches so far back, else as AiCore did."""
    usage = usage_of(operation)
    cost = book.cost(call, usage)
    usd = cost_of(operation)
    if cost.computed_usd is None and usd is not None:
        cost = replace(cost, computed_usd=usd, spent_usd=usd, cost_source="computed")
    return call_row(call, usage, cost, None)


def _refuse_another_zone(engine: Engine, first: Call) -> None:
    if is_at_another_time(engine, first.id, first.started_us):
        raise StoreError(
            "these operations were imported before, with another --time-zone: "
            "the same one adds what is new, another one would count them twice"
        )
