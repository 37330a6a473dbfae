"""Spans of operations: each is stored once, waits while it cannot be, and stops no call."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tachograph.core.ids import uuid7
from tachograph.core.records import OperationSpan
from tachograph.core.units import microseconds
from tachograph.store import migrate, operation_spans
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.operation_spans import WaitingOperations, read_operation_spans
from tachograph.store.purge import purge
from tests.stored import NOON, store


def span(began: timedelta, seconds: float) -> OperationSpan:
    started_us = microseconds(NOON + began)
    return OperationSpan(
        id=uuid7(started_us),
        operation_id=None,
        name="plan tour",
        session_id=None,
        tags=None,
        service_name="shop",
        environment=None,
        started_us=started_us,
        ended_us=started_us + round(seconds * 1e6),
        error_type=None,
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        parent_span_id=None,
    )


def test_those_that_were_open_in_a_period(engine: sa.Engine) -> None:
    hours = [timedelta(hours=n) for n in range(4)]
    first, second, third = kept = [span(began, 3600) for began in hours[:3]]
    waiting = WaitingOperations()
    for one in (*kept, second):
        waiting.append(one)
    waiting.store(engine)
    waiting.store(engine)
    assert not waiting
    assert waiting.taken_in == waiting.settled == 4
    assert list(read_operation_spans(engine, NOON - hours[1], None)) == kept
    assert list(read_operation_spans(engine, NOON + hours[1] * 1.5, None)) == [second, third]
    assert list(read_operation_spans(engine, NOON, NOON + hours[1])) == [first]
    assert list(read_operation_spans(engine, NOON + hours[3] * 2, None)) == []


def test_what_the_database_did_not_take_waits_on(engine: sa.Engine) -> None:
    spans = [span(timedelta(hours=n), 1) for n in range(3)]
    waiting = WaitingOperations()
    for one in spans:
        waiting.append(one)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE operation_spans RENAME TO elsewhere")
    with pytest.raises(sa.exc.DBAPIError):
        waiting.store(engine)
    assert waiting.settled == 0
    with write_transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO operation_spans")
    waiting.store(engine)
    assert list(read_operation_spans(engine, NOON, None)) == spans


def test_one_that_cannot_be_stored_stops_no_other(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    spans = [span(timedelta(hours=n), 1) for n in range(3)]
    waiting = WaitingOperations()
    for one in spans:
        bad = "\ud800" if one is spans[1] else one.name
        waiting.append(replace(one, name=bad))
    waiting.store(engine)
    assert list(read_operation_spans(engine, NOON, None)) == [spans[0], spans[2]]
    (record,) = caplog.records
    assert "the span of an operation cannot be kept" in record.message


def test_a_role_without_the_right_records_calls_all_the_same(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    owner = open_engine(postgres_url)
    migrate.upgrade(owner)
    with write_transaction(owner) as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS spans_refused")
        connection.exec_driver_sql("CREATE ROLE spans_refused LOGIN")
    writer = open_engine(sa.make_url(postgres_url).set(username="spans_refused"))
    waiting = WaitingOperations()
    for _ in range(2):
        waiting.append(span(timedelta(), 1))
        waiting.store(writer)
    assert not waiting
    assert waiting.settled == 2
    (record,) = caplog.records
    assert "spans of operations are not kept: permission denied" in record.message
    writer.dispose()
    with write_transaction(owner) as connection:
        connection.exec_driver_sql("DROP ROLE spans_refused")
    owner.dispose()


def test_what_waits_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(operation_spans, "IN_MEMORY", 2)
    spans = [span(timedelta(hours=n), 1) for n in range(4)]
    waiting = WaitingOperations()
    for one in spans:
        waiting.append(one)
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")
    migrate.upgrade(engine)
    waiting.store(engine)
    assert list(read_operation_spans(engine, NOON, None)) == spans[2:]
    assert waiting.taken_in == waiting.settled == 2
    engine.dispose()


def test_a_purge_takes_them_with_their_calls(engine: sa.Engine) -> None:
    waiting = WaitingOperations()
    old, new = span(timedelta(), 1), span(timedelta(days=2), 1)
    waiting.append(old)
    waiting.append(new)
    waiting.store(engine)
    store(engine, {"started_at": NOON + timedelta(hours=1)})
    assert purge(engine, NOON + timedelta(days=1)) == 1
    assert list(read_operation_spans(engine, NOON, None)) == [new]
