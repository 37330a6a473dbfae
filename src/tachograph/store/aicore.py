"""AiCore's own database, read: its tables Session, Message and Metric."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tachograph.core.ids import uuid7_floor
from tachograph.errors import StoreError
from tachograph.store.database import open_engine, without_secret
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

BATCH = 1000
SDK = "aicore"
"""What `calls.sdk` says of an imported call."""

_ZONES_US = 27 * 3600 * 1_000_000
"""The clocks of no two zones are further apart."""


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns))


_SESSION = _table("Session", "session_id", "workspace", "agent_id")
_MESSAGE = _table(
    "Message",
    "operation_id",
    "session_id",
    "action_id",
    "timestamp",
    "system_prompt",
    "user_prompt",
    "response",
    "completion_args",
    "error_message",
)
_METRIC = _table(
    "Metric",
    "operation_id",
    "operation_type",
    "provider",
    "model",
    "success",
    "temperature",
    "max_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost",
    "latency_ms",
    "extras",
)
_OPERATIONS = _MESSAGE.join(_METRIC, _MESSAGE.c.operation_id == _METRIC.c.operation_id)
_READ = (
    sa.select(
        _SESSION.c.workspace,
        _SESSION.c.agent_id,
        *_MESSAGE.c,
        *(column for column in _METRIC.c if column.name != "operation_id"),
    )
    .select_from(_OPERATIONS.outerjoin(_SESSION, _MESSAGE.c.session_id == _SESSION.c.session_id))
    .order_by(_MESSAGE.c.timestamp, _MESSAGE.c.operation_id)
)


@contextmanager
def reading_aicore(url: str) -> Iterator[Engine]:
    """An engine on AiCore's database, which it leaves as it is.

    Takes AiCore's own URLs too, whatever driver they name. StoreError where it is no such database.
    """
    try:
        target = sa.make_url(url)
        target = target.set(drivername=target.get_backend_name())
    except sa.exc.ArgumentError:
        engine = open_engine(url, read_only=True)  # says what is wrong with it
    else:
        engine = open_engine(target, read_only=True)
    try:
        tables = sa.inspect(engine).get_table_names()
        missing = [t.name for t in (_SESSION, _MESSAGE, _METRIC) if t.name not in tables]
        if missing:
            raise StoreError(
                f"{without_secret(engine.url)} is no database of AiCore: "
                f"it has no table {', '.join(missing)}"
            )
        yield engine
    finally:
        engine.dispose()


def count_operations(aicore: Engine) -> int:
    """How many operations there are."""
    with aicore.connect() as connection:
        query = sa.select(sa.func.count()).select_from(_OPERATIONS)
        return connection.execute(query).scalar_one()


def operation_batches(aicore: Engine) -> Iterator[Sequence[sa.Row[Any]]]:
    """All operations, the oldest first; the columns have AiCore's names."""
    with aicore.connect() as connection:
        streamed = connection.execution_options(stream_results=True)
        with streamed.execute(_READ) as result:
            yield from result.partitions(BATCH)


def is_at_another_time(engine: Engine, call_id: bytes, started_us: int) -> bool:
    """Whether the same operation was imported as of another time zone before."""
    query = sa.select(calls.c.id).where(
        calls.c.id >= uuid7_floor(started_us - _ZONES_US),
        calls.c.id < uuid7_floor(started_us + _ZONES_US),
        calls.c.sdk == SDK,
    )
    with engine.connect() as connection:
        found = connection.execute(query).scalars()
        return any(other != call_id and other[8:] == call_id[8:] for other in found)
