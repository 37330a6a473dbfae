"""The same calls before us and before DuckDB, an engine that nobody here wrote.

Of a database DuckDB gets the raw rows as its driver reads them, so that nothing of ours stands
between: microseconds, pico-dollars and bytes become instants, dollars and text in a view that is
written here. Of Parquet, ours (the archive) and polars' own, it reads the files.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import polars as pl
import psycopg
import pyarrow as pa
import sqlalchemy as sa

from tachograph.analytics import archive_calls, scan_calls
from tachograph.core.units import microseconds
from tachograph.testing import generate_calls
from tests.analytics.rows import NOON, row, stored
from tests.postgres import empty_database

MADE = 4_000
BOOLEANS = ("stream", "is_byok", "trace_sampled", "foreign_span")
IDS = ("id", "operation_id", "resend_of")


@dataclass(frozen=True)
class Proof:
    """Calls as a frame of ours, and as the view `calls` of DuckDB."""

    calls: pl.LazyFrame
    url: str
    """Of the database that the calls come from; it has the prices."""
    engine: duckdb.DuckDBPyConnection
    archive: Path | None = None

    def same(self, report: pl.LazyFrame | pl.DataFrame, sql: str) -> pl.DataFrame:
        """Asserts that a report is what a query says: columns, rows and their order.

        Counts, money, words, instants and quantiles are equal; sums of floats and what is made
        of them, to the 12th digit.
        """
        found = report.collect() if isinstance(report, pl.LazyFrame) else report
        answer = self.engine.sql(sql)
        assert found.columns == answer.columns
        instants = [
            f"epoch_us({name}) AS {name}"
            for name, kind in zip(answer.columns, answer.types, strict=True)
            if str(kind) == "TIMESTAMP WITH TIME ZONE"
        ]
        if instants:
            answer = self.engine.sql(f"SELECT * REPLACE ({', '.join(instants)}) FROM ({sql})")
        expected = answer.fetchall()
        assert expected, "nothing is proved by no rows"
        for at, (ours, theirs) in enumerate(zip(found.rows(), expected, strict=True)):
            for name, one, other in zip(found.columns, ours, theirs, strict=True):
                assert _same(one, other), f"{name} of row {at}: {one!r}, not {other!r}"
        return found


def _same(one: object, other: object) -> bool:
    if isinstance(one, datetime):
        one = microseconds(one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15)
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        return type(one) is type(other) and one == other
    return one == other


@contextmanager
def proof(kind: str, folder: Path, postgres: sa.URL | None) -> Iterator[Proof]:
    """Made-up calls and rare ones in a database of this kind, or in Parquet."""
    if kind == "postgresql":
        assert postgres is not None
        with empty_database(postgres) as url:
            _fill(url)
            with closing(psycopg.connect(url)) as server:
                yield Proof(scan_calls(url), url, _raw(server))
        return
    url = f"sqlite:///{folder}/calls.db"
    _fill(url)
    if kind == "archive":
        with closing(sqlite3.connect(folder / "calls.db")) as file:
            engine = _raw(file)
        archive = folder / "archive"
        archive_calls(url, RARE_UNTIL, archive)
        files = f"read_parquet('{archive}/**/*.parquet', hive_partitioning = false)"
        engine.execute(f"CREATE OR REPLACE VIEW calls AS FROM {files}")
        yield Proof(scan_calls(url, archive=archive), url, engine, archive)
        return
    if kind == "parquet":
        path = folder / "calls.parquet"
        scan_calls(url).sink_parquet(path)
        with closing(sqlite3.connect(folder / "calls.db")) as file:
            engine = _raw(file)
        engine.execute(f"CREATE OR REPLACE VIEW calls AS FROM read_parquet('{path}')")
        yield Proof(pl.scan_parquet(path), url, engine)
        return
    with closing(sqlite3.connect(folder / "calls.db")) as file:
        yield Proof(scan_calls(url), url, _raw(file))


def _fill(url: str) -> None:
    generate_calls(MADE, seed=7, to=url)
    stored(url, RARE)


def _raw(connection: Any) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect()
    for table, view in (("calls", _call), ("prices", _price)):
        cursor = connection.cursor()
        cursor.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        columns = zip(*cursor.fetchall(), strict=True)
        plain = [
            [_plain(name, value) for value in values]
            for name, values in zip(names, columns, strict=True)
        ]
        engine.register(f"raw_{table}", pa.table(plain, names=names))
        engine.execute(
            f"CREATE VIEW {table} AS SELECT {', '.join(map(view, names))} FROM raw_{table}"
        )
    return engine


def _plain(name: str, value: Any) -> Any:
    if value is not None and name in IDS:
        return str(UUID(bytes=value) if isinstance(value, bytes) else value)
    if isinstance(value, bytes):
        return value.hex()
    return value


def _call(name: str) -> str:
    if name.endswith("_picousd"):
        usd = f"{name}::DECIMAL(20, 0) * 0.000000000001::DECIMAL(13, 12)"
        return f"({usd})::DECIMAL(38, 12) AS {name.removesuffix('_picousd')}_usd"
    if name.endswith("_us"):
        return f"make_timestamptz({name}) AS {name.removesuffix('_us')}_at"
    return f"{name}::BOOLEAN AS {name}" if name in BOOLEANS else name


def _price(name: str) -> str:
    if name in ("prompt", "completion", "input_cache_read", "input_cache_write"):
        return f"{name}::DECIMAL(18, 15) AS {name}"
    return name


def _operation(after: timedelta, *sendings: dict[str, Any]) -> list[dict[str, Any]]:
    """Calls of one operation, each so many seconds (`at`) after the first."""
    made: list[dict[str, Any]] = []
    for number, sending in enumerate(sendings):
        seconds = timedelta(seconds=sending.pop("at"))
        call = row(after + seconds, attempt=number + 1, **sending)
        made.append(call | {"operation_id": (made or [call])[0]["id"]})
    return made


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EDGE = Decimal("9223372.036854775807")
"""The most money that a column holds."""

RARE: list[dict[str, Any]] = [
    row(-40 * DAY, model="rare/early", spent_picousd=Decimal("0.000000000001")),
    row(1, outcome="refused", error_type="budget_exceeded", model="openai/gpt-5.1", user_id="u-1"),
    row(2, outcome="refused", error_type="rate_limited"),
    row(3, outcome="abandoned", error_type="interrupted", model="rare/model", stream=True),
    row(4, outcome="abandoned", error_type="dropped", model="rare/model", spent_picousd=EDGE),
    row(5, model="rare/model", provider="Odd", spent_picousd=EDGE, billed_picousd=EDGE),
    row(6, model="rare/model", provider="Odd", spent_picousd=Decimal(0), cache_status="HIT",
        latency_seconds=0.0, first_token_seconds=0.0, stream=True, output_tokens=5),
    row(7, model="rare/model", provider="Odd", cache_status="MISS", latency_seconds=2.0,
        first_token_seconds=2.0, stream=True, output_tokens=2),
    row(8, model="rare/model", stream=True, latency_seconds=2.0, first_token_seconds=1.0,
        output_tokens=1, input_tokens=0, cache_read_input_tokens=0),
    row(9, model="rare/model", stream=True, latency_seconds=2.5, output_tokens=700),
    row(10, provider="Odd", latency_seconds=1e-9, input_tokens=5, cache_write_input_tokens=5),
    row(11, outcome="failed", error_type="stream_cut", http_status=200, model="rare/model",
        spent_picousd=Decimal("0.5"), error_message="first", output_tokens=3),
    row(12, outcome="failed", error_type="stream_cut", http_status=200, error_message="second"),
    row(13, outcome="failed", model="openai/gpt-5.1", latency_seconds=1e6),
    row(14, tags='{"team": null}', model="tie/b", spent_picousd=Decimal("0.25")),
    row(15, tags='{"team": 7}', model="tie/a", spent_picousd=Decimal("0.25")),
    row(16, tags='{"other": "search"}', session_id="", user_id="", name=""),
    row(3 * DAY, tags='{"team": "sëarch"}', model="rare/late", latency_seconds=0.5),
    # a fallback to another model, side by side with a slow first call
    *_operation(
        DAY,
        {"at": 0, "model": "rare/slow", "provider": "A", "latency_seconds": 9.5},
        {"at": 2, "model": "rare/quick", "provider": "B", "latency_seconds": 1.25,
         "spent_picousd": Decimal("0.000000000003"), "input_tokens": 10},
        {"at": 20, "model": "rare/quick", "provider": "A", "latency_seconds": 0.5,
         "outcome": "abandoned", "error_type": "cancelled"},
    ),
    # two retries, of which the last gives up; when the second ended is not known
    *_operation(
        DAY + HOUR,
        {"at": 0, "model": "rare/slow", "outcome": "failed", "latency_seconds": 1.0},
        {"at": 2, "model": "rare/slow", "outcome": "failed", "resend_count": 1},
        {"at": 5, "model": "rare/slow", "outcome": "failed", "resend_count": 2,
         "error_type": "server_error", "latency_seconds": 1.0},
    ),
    *_operation(
        DAY + 2 * HOUR,
        {"at": 0, "outcome": "failed", "latency_seconds": 1.5},
        {"at": 2.75, "outcome": "completed", "resend_count": 1, "latency_seconds": 1.0},
    ),
]  # fmt: skip
"""What made-up calls do not have: every outcome, ties, nulls, edges of money, gaps, overlaps."""

RARE_UNTIL = NOON + 4 * DAY
