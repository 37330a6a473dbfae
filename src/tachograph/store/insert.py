"""Rows into `calls`, in one transaction a batch, harmless when repeated.

For SQLite the statement is compiled once and rows go to the driver as tuples: Core's own
executemany spends more than half its time turning dicts into parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.dialects import sqlite

from tachograph.core.units import from_microseconds
from tachograph.store.bills import repeated_bills
from tachograph.store.contents import add_contents
from tachograph.store.database import not_permitted, write_transaction
from tachograph.store.rows import COLUMNS, without_bill
from tachograph.store.schema import calls, journal_dead, recorders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine import Connection, Engine

    from tachograph.core.records import Call
    from tachograph.store.rows import Row


UNSTORABLE = "unstorable"
"""Reason of a call that the database refuses, and of a journal record that cannot be read."""


class Ledger(msgspec.Struct):
    """What one recording process has made, as `recorders` holds it."""

    id: bytes
    began_us: int
    last_seen_us: int
    made: int
    dropped: dict[str, int]
    host: str | None = None
    pid: int | None = None
    service_name: str | None = None
    closed: bool = False


class Inserter:
    """Stores batches of rows in one database.

    `give_way` is called now and then, where others may wait for the interpreter.
    """

    def __init__(self, engine: Engine, give_way: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._give_way = give_way
        self._add: Callable[[Connection, Sequence[Row]], int] = self._insert_rows
        if engine.dialect.name == "postgresql":
            from tachograph.store.copying import copy_rows  # psycopg is there only with its extra

            self._add = copy_rows

    def store(self, rows: Sequence[Row], ledger: Ledger | None, calls: Iterable[Call] = ()) -> int:
        """Adds the rows that are not there yet, and says how many they were; and the contents of
        these calls. `ledger` is None where no recorder made them."""
        calls = list(calls)
        with write_transaction(self._engine) as connection:
            repeated = repeated_bills(connection, calls)
            if repeated:  # told since the rows were made
                rows = [
                    without_bill(row) if call.id in repeated else row
                    for call, row in zip(calls, rows, strict=True)
                ]
            added = self._add(connection, rows) if rows else 0
            add_contents(connection, calls)
            if ledger is not None:
                write_ledger(connection, ledger, added)
        return added

    def _insert_rows(self, connection: Connection, rows: Sequence[Row]) -> int:
        added = 0
        for start in range(0, len(rows), _AT_ONCE):
            added += connection.exec_driver_sql(
                _INSERT, list(rows[start : start + _AT_ONCE])
            ).rowcount
            self._give_way()
        return added

    def set_aside(self, records: Iterable[tuple[str, bytes]], ledger: Ledger) -> None:
        """Keeps records that cannot be stored, each with the reason before it, and counts them.

        One that is kept already (a journal is taken up again) is not kept or counted twice, as far
        as the role may read that.
        """
        with write_transaction(self._engine) as connection:
            rows = [
                {
                    "recorder_id": ledger.id or None,
                    "set_aside_us": from_microseconds(ledger.last_seen_us),
                    "reason": reason,
                    "record": record,
                }
                for reason, record in records
                if not _is_aside(connection, ledger.id, record)
            ]
            if not rows:
                return
            # inline: RETURNING the id would need a right to read
            connection.execute(journal_dead.insert().inline(), rows)
            number = ledger.dropped.get(UNSTORABLE, 0) + len(rows)
            counted = replace(ledger, dropped={**ledger.dropped, UNSTORABLE: number})
            if ledger.id:
                write_ledger(connection, counted, 0)
        ledger.dropped = counted.dropped

    def account(self, recorder_id: bytes) -> tuple[int, dict[str, int]]:
        """What the ledger of a recorder says was stored, and dropped; nothing where it has none."""
        query = sa.select(recorders.c.stored, recorders.c.dropped)
        with self._engine.connect() as connection:
            found = connection.execute(query.where(recorders.c.id == recorder_id)).first()
        if found is None:
            return 0, {}
        return found.stored, msgspec.json.decode(found.dropped, type=dict[str, int])

    def known(self, ids: Sequence[bytes]) -> set[bytes]:
        """Those of the ids that are in `calls` already; none where the role may not read it."""
        found: set[bytes] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(ids), 500):
                part = ids[start : start + 500]
                query = sa.select(calls.c.id).where(calls.c.id.in_(part))
                try:
                    found.update(connection.execute(query).scalars())
                except sa.exc.ProgrammingError as error:
                    if not not_permitted(error):
                        raise
                    break
        return found


def _is_aside(connection: Connection, recorder_id: bytes, record: bytes) -> bool:
    query = sa.select(journal_dead.c.id).where(
        journal_dead.c.recorder_id == (recorder_id or None), journal_dead.c.record == record
    )
    try:
        with connection.begin_nested():  # a refusal is not to end the transaction around it
            return connection.execute(query.limit(1)).first() is not None
    except sa.exc.ProgrammingError as error:
        if not not_permitted(error):
            raise
        return False


_AT_ONCE = 50
"""Rows that SQLite is given at once: it takes a millisecond or two."""

_INSERT = str(
    sqlite.insert(calls)
    .on_conflict_do_nothing()
    .compile(dialect=sqlite.dialect(), column_keys=COLUMNS)
)


def write_ledger(connection: Connection, ledger: Ledger, added: int) -> None:
    values: dict[str, Any] = {
        "last_seen_us": _us(ledger.last_seen_us),
        "made": ledger.made,
        "dropped": msgspec.json.encode(ledger.dropped).decode(),
        "closed": ledger.closed,
    }
    row = recorders.c.id == ledger.id
    updated = connection.execute(
        sa.update(recorders).where(row).values(**values, stored=recorders.c.stored + added)
    )
    if not updated.rowcount:
        connection.execute(
            sa.insert(recorders).values(
                **values,
                id=ledger.id,
                stored=added,
                began_us=_us(ledger.began_us),
                host=ledger.host,
                pid=ledger.pid,
                service_name=ledger.service_name,
            )
        )


def _us(microseconds: int) -> sa.ColumnElement[Any]:
    """Microseconds as they are, past the column's type that wants a datetime."""
    return sa.literal(microseconds, sa.BigInteger)
