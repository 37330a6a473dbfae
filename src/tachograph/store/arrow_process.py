"""A process that only reads: ranges of ids come in, the calls of each go out as Arrow.

Run as a script by `arrow_reading`. It has the database's ADBC driver, and with it that driver's
own SQLite, to itself: two of them in one process undo each other's file locks. Nothing of the
package is imported, so that it is ready in a tenth of a second.

First on standard input are the caller's `sys.path` and what `Connection` is made with, pickled.
Then come records of 32 bytes: the two ends of a range, or AGAIN, which asks for a new transaction.
On standard output each piece has a head (a kind, a length): ARROW, a stream of one batch; DONE,
with what was asked for last, and at first with beginning a transaction; FAILED, why.
"""

from __future__ import annotations

import importlib
import pickle
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = struct.Struct("<cQ")
ARROW, DONE, FAILED = b"A", b"D", b"F"
RANGE_BYTES = 32
AGAIN = bytes(RANGE_BYTES)
BATCH_ROWS = 24_576
BATCH_BYTES = 2_000_000


def main(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answers until nothing more is asked for."""

    def answer(kind: bytes, payload: Any = b"") -> None:
        answers.write(HEAD.pack(kind, len(memoryview(payload))))
        answers.write(payload)

    try:
        sys.path[:] = pickle.load(asked)  # noqa: S301
        connection = Connection(**pickle.load(asked))  # noqa: S301
        connection.begin()
        answer(DONE)
        answers.flush()
        while record := asked.read(RANGE_BYTES):
            if record == AGAIN:
                connection.begin()
            else:
                for batch in connection.read(record[:16], record[16:]):
                    answer(ARROW, batch)
            answer(DONE)
            answers.flush()
    except BrokenPipeError:  # nobody wants to know any more
        sys.stdout = None
    except Exception as error:
        answer(FAILED, f"{type(error).__name__}: {error}".encode())


class Connection:
    """The database, through ADBC."""

    def __init__(
        self,
        driver: str,
        uri: str,
        first: list[str],
        sql: tuple[str, str, str],
    ) -> None:
        """`driver` is the module of it, `sql` a query where it is cut by the ends of the range,
        `first` what else is run when a transaction begins. In SQLite the query gives a row before
        the others that only tells the types, which ADBC takes from the first rows there."""
        from adbc_driver_manager import AdbcConnection, AdbcDatabase

        self._sqlite = driver == "adbc_driver_sqlite"
        path = importlib.import_module(driver)._driver_path()
        self._connection = AdbcConnection(AdbcDatabase(driver=path, uri=uri))
        self._connection.set_autocommit(False)
        self._first = first
        self._sql = sql

    def begin(self) -> None:
        """A transaction, whose view of the database is fixed here."""
        self._connection.rollback()
        for sql in self._first:
            for _ in self._batches(sql):
                pass

    def read(self, low: bytes, high: bytes) -> Iterator[Any]:
        """The calls with low <= id < high, in buffers that each hold an Arrow stream."""
        import pyarrow as pa

        before, between, after = self._sql
        sql = f"{before}{self._id(low)}{between}{self._id(high)}{after}"
        skip = int(self._sqlite)
        for batch in self._batches(sql):
            rows = batch.slice(skip)
            skip = 0
            if rows.num_rows:
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, rows.schema) as stream:
                    stream.write_batch(rows)
                yield sink.getvalue()

    def _id(self, value: bytes) -> str:
        return f"x'{value.hex()}'" if self._sqlite else f"'{value.hex()}'"

    def _batches(self, sql: str) -> Iterator[Any]:
        import pyarrow as pa
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            if self._sqlite:
                statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
            else:
                size = str(BATCH_BYTES)
                statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": size})
            statement.set_sql_query(sql)
            handle, _ = statement.execute_query()
            # closed before its statement is: it would crash afterwards
            with pa.RecordBatchReader._import_from_c(handle.address) as reader:
                yield from reader


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
