"""How fast calls go into SQL: ours beside the bare driver with the same tuples, in one run.

    python benchmarks/writer.py [--calls 20000] [--postgres postgresql://...]

Rows/s, medians over interleaved rounds; the ratio is what counts on a shared machine. "rows" reads
each usage object, makes and stores the rows, with pricing and spans off; "priced" prices them too,
"priced, with spans" makes spans and metrics as well; "replay" writes and reads a journal. Before
that, what a record in the journal costs its caller.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from msgspec.structs import asdict, replace
from opentelemetry.sdk.metrics import MeterProvider
from overhead import tracer_provider

from tachograph.core.ids import uuid7
from tachograph.core.records import Call, Cost, Price, Usage
from tachograph.openrouter.usage import read_usage
from tachograph.store import migrate
from tachograph.store.adoption import adopt
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.journal import Journal
from tachograph.store.price_history import record_prices
from tachograph.store.prices import PriceBook
from tachograph.store.replay import replay
from tachograph.store.rows import COLUMNS, Row, RowMaker, call_row
from tachograph.store.schema import calls as table
from tachograph.store.waiting import BATCH
from tachograph.telemetry.metrics import Metrics
from tachograph.telemetry.signals import Signals
from tachograph.telemetry.spans import Spans

START_US = 1_795_000_000_000_000
MODEL = "openai/gpt-5-mini"


def made(count: int, seed: int) -> list[Call]:
    """Calls of realistic entropy, each with a usage object as OpenRouter sends it."""
    choose = random.Random(seed)
    fields: dict[str, Any] = dict.fromkeys(Call.__struct_fields__)
    result = []
    for n in range(count):
        started_us = START_US + seed * 10**9 + n * 1000
        call_id = uuid7(started_us)
        tokens = choose.randrange(10, 4000)
        fields |= {
            "id": call_id,
            "operation_id": call_id,
            "attempt": 1,
            "resend_count": 0,
            "operation_name": "chat",
            "session_id": f"session-{choose.randrange(50)}" if n % 2 else None,
            "sdk": "openai/3.52.0",
            "host": "openrouter.ai",
            "path": "/chat/completions",
            "request_model": MODEL,
            "stream": True,
            "request_bytes": choose.randrange(200, 20_000),
            "started_us": started_us,
            "latency_seconds": choose.random() * 10,
            "headers_seconds": choose.random(),
            "first_token_seconds": choose.random(),
            "outcome": "completed",
            "http_status": 200,
            "chunks": 40,
            "response_bytes": choose.randrange(2000, 50_000),
            "response_model": MODEL,
            "provider": "OpenAI",
            "generation_id": f"gen-1795000000-{choose.getrandbits(96):024x}"[:35],
            "finish_reason": "stop",
            "native_finish_reason": "completed",
            "usage": b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"cost":%s,'
            b'"is_byok":false,"prompt_tokens_details":{"cached_tokens":0},"cost_details":'
            b'{"upstream_inference_cost":%s},"completion_tokens_details":{"reasoning_tokens":0}}'
            % (tokens, tokens // 4, tokens + tokens // 4, b"0.00012", b"0.00012"),
        }
        result.append(Call(**fields))
    return result


class NoSpans:
    def make(self, call: Call, usage: Usage | None, cost: Cost) -> None:
        return None


class NoPrices:
    """Stands where the price book stands, with pricing off."""

    engine = None  # asked for bills of jobs, of which there are none here

    def refresh(self) -> None:
        pass

    def cost(self, call: Call, usage: Usage | None) -> Cost:
        return Cost()


def in_batches(rows: list[Any], store: Callable[[list[Any]], object]) -> None:
    for start in range(0, len(rows), BATCH):
        store(rows[start : start + BATCH])


def rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


class Side:
    """One database, filled anew for each measurement."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        migrate.upgrade(self.engine)
        self.ledger = Ledger(uuid7(1), 1, 1, 0, {})
        price = Price(
            model=MODEL,
            valid_from_us=0,
            prompt=Decimal("0.00000025"),
            completion=Decimal("0.000002"),
        )
        record_prices(
            self.engine, [price], fetched_us=START_US, source="benchmark", valid_from_us=0
        )

    def empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table))

    def rows(self, calls: list[Call], prices: Any, spans: Any = None) -> None:
        maker = RowMaker(read_usage, prices, spans or NoSpans())
        inserter = Inserter(self.engine)
        in_batches(calls, lambda part: inserter.store(maker.rows(part), self.ledger))

    def stored(self, rows: list[Row]) -> None:
        inserter = Inserter(self.engine)
        in_batches(rows, lambda part: inserter.store(part, self.ledger))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", help="URL of an empty database")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journalling(made(asked.calls, 0), Path(folder) / "calls.journal")
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder) / 'writer.db'}", asked.calls, asked.rounds, Path(folder))
    if asked.postgres:
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.postgres, asked.calls, asked.rounds, Path(folder))


def journalling(calls: list[Call], folder: Path) -> None:
    """Microseconds of a caller's thread for each record, taken from the journal now and then."""
    journal = Journal(folder, uuid7(1), 1)
    spent = []
    for n, call in enumerate(calls):
        start = time.perf_counter_ns()
        journal.append(call)
        spent.append((time.perf_counter_ns() - start) / 1000)
        if n % 500 == 499:
            journal.settled(journal.take(500))
    journal.close([])
    spent.sort()
    print("| a record in the journal | us | target |\n|---|--:|--:|")
    print(f"| p50 | {spent[len(spent) // 2]:.1f} | 6 |")
    print(f"| p99 | {spent[len(spent) * 99 // 100]:.1f} | 15 |")


def measure(url: str, count: int, rounds: int, folder: Path) -> None:
    side = Side(url)
    rates: dict[str, list[float]] = {}
    for round_ in range(rounds):
        for name, work in works(side, made(count, round_), folder / f"{round_}.journal").items():
            side.empty()
            rates.setdefault(name, []).append(rate(count, work))
    print(f"\n| {side.engine.dialect.name} | rows/s | of bare |\n|---|--:|--:|")
    base = statistics.median(rates["bare driver"])
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"| {name} | {median:,.0f} | {median / base:.2f} |")
    print(f"| bytes a row | {bytes_a_row(side.engine, count):,.0f} | |")
    side.engine.dispose()


def works(side: Side, calls: list[Call], folder: Path) -> dict[str, Callable[[], object]]:
    tuples = [call_row(call, read_usage(call), Cost(), None) for call in calls]
    spans = Spans(tracer_provider())
    traced = [replace(call, **asdict(spans.begin())) for call in calls]  # type: ignore[arg-type]
    signals = Signals(spans, Metrics(MeterProvider(), "main"))
    bare = bare_sqlite if side.engine.dialect.name == "sqlite" else bare_copy
    return {
        "bare driver": lambda: bare(side.engine, tuples),
        "stored tuples": lambda: side.stored(tuples),
        "rows": lambda: side.rows(calls, NoPrices()),
        "priced": lambda: side.rows(calls, PriceBook(side.engine)),
        "priced, with spans": lambda: side.rows(traced, PriceBook(side.engine), signals),
        "replay": lambda: replayed(side, calls, folder),
    }


def bare_sqlite(engine: sa.Engine, rows: list[Row]) -> None:
    connection = sqlite3.connect(str(engine.url.database), isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    marks = ",".join("?" * len(COLUMNS))
    statement = f"INSERT INTO calls ({','.join(COLUMNS)}) VALUES ({marks})"

    def store(part: list[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, part)
        connection.execute("COMMIT")

    in_batches(rows, store)
    connection.close()


def bare_copy(engine: sa.Engine, rows: list[Row]) -> None:
    from uuid import UUID

    connection: Any = engine.raw_connection()
    cursor = connection.cursor()

    def store(part: list[Row]) -> None:
        with cursor.copy(f"COPY calls ({','.join(COLUMNS)}) FROM STDIN") as copy:
            for row in part:
                copy.write_row((UUID(bytes=row[0]), UUID(bytes=row[1]), *row[2:]))
        connection.commit()

    in_batches(rows, store)
    connection.close()


def replayed(side: Side, calls: list[Call], folder: Path) -> None:
    journal = Journal(folder, uuid7(2), 2, in_memory=0)
    for call in calls:
        journal.append(call)
    journal.close([])
    (found,) = adopt(folder)
    maker = RowMaker(read_usage, PriceBook(side.engine), NoSpans())
    replay(found, Inserter(side.engine), maker)
    found.delete()


def bytes_a_row(engine: sa.Engine, count: int) -> float:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            names = "'calls', 'ix_calls_operation_id', 'ix_calls_session_id'"
            try:
                size = connection.exec_driver_sql(
                    f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({names})"
                ).scalar()
            except sa.exc.OperationalError:  # a SQLite without dbstat
                return float("nan")
        else:
            size = connection.exec_driver_sql("SELECT pg_total_relation_size('calls')").scalar()
    return float(size or 0) / count


if __name__ == "__main__":
    main()
