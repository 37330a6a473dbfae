"""`tachograph export spans`: what a collector gets of stored calls."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tachograph.core.ids import uuid7
from tachograph.core.records import OperationSpan
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.operation_spans import WaitingOperations
from tests.analytics.rows import NOON, row
from tests.cli.conftest import Run, stored
from tests.telemetry.collector import Collector, collecting


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def db(tmp_path: Path) -> str:
    """One call without a tracer, one that was sampled, one that was not."""
    trace = {"trace_id": b"t" * 16, "parent_span_id": b"p" * 8}
    return stored(
        tmp_path / "calls.db",
        [
            row(0, service_name="shop"),
            row(timedelta(hours=1), **trace, span_id=b"1" * 8, trace_sampled=True),
            row(timedelta(hours=2), **trace, span_id=b"2" * 8, trace_sampled=False),
        ],
    )


def _ids(collector: Collector) -> list[bytes]:
    return [span.span_id for span in collector.spans]


def test_a_trace_that_was_not_sampled_is_left_alone(tachograph: Run, db: str) -> None:
    with collecting() as collector:
        ran = tachograph(
            *("export", "spans", "--db", db),
            *("--since", "2026-11-01", "--endpoint", collector.url),
        )
    assert ran.status == 0, ran.err
    assert ran.out == (
        "spans sent: 2 of 3 calls\nleft alone, since their trace was not sampled: 1\n"
    )
    assert _ids(collector)[1:] == [b"1" * 8]
    assert collector.spans[1].parent_span_id == b"p" * 8
    assert "shop" in collector.services


def test_a_call_that_another_instrumentation_had_a_span_for_is_sent_when_asked_for(
    tachograph: Run, tmp_path: Path
) -> None:
    """One that an older version stored is taken for ours: nobody knows."""
    known = (True, False, None)
    rows = [
        row(
            timedelta(hours=hour),
            trace_id=b"t" * 16,
            span_id=bytes([hour + 1]) * 8,
            trace_sampled=True,
            foreign_span=foreign,
        )
        for hour, foreign in enumerate(known)
    ]
    url = stored(tmp_path / "calls.db", rows)
    with collecting() as collector:
        send = (
            "export",
            "spans",
            "--db",
            url,
            "--endpoint",
            collector.url,
            "--since",
            "2026-11-01",
        )
        ran = tachograph(*send)
        all_of_them = tachograph(*send, "--include-foreign")
    assert ran.out == (
        "spans sent: 2 of 3 calls\n"
        "left alone, since another instrumentation had their span "
        "(--include-foreign sends them): 1\n"
    )
    assert all_of_them.out == "spans sent: 3 of 3 calls\n"
    first, second, third = (bytes([number]) * 8 for number in (1, 2, 3))
    assert _ids(collector) == [second, third, first, second, third]


def test_the_same_spans_are_sent_again_to_where_the_environment_says(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        for _ in range(2):
            ran = tachograph("export", "spans", "--db", db, "--since", "2026-11-01")
            assert ran.status == 0, ran.err
    ids = _ids(collector)
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_a_period_has_an_end(tachograph: Run, db: str) -> None:
    with collecting() as collector:
        ran = tachograph(
            *("export", "spans", "--db", db, "--endpoint", collector.url),
            *("--since", "2026-11-01T12:30Z", "--until", "2026-11-01T13:30Z"),
        )
    assert ran.out == "spans sent: 1 of 1 calls\n"
    assert _ids(collector) == [b"1" * 8]


def test_a_collector_that_refuses_is_an_error(
    tachograph: Run, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with collecting("refuses") as collector:
        ran = tachograph(
            *("export", "spans", "--db", db),
            *("--since", "2026-11-01", "--endpoint", collector.url),
        )
    assert ran.status == 1
    assert "the collector did not take 2 spans" in ran.err
    assert ran.out == ""


def test_a_trace_is_whole_again_with_its_operation(tachograph: Run, tmp_path: Path) -> None:
    """Sent in two halves, the second sending still links to the first, which is not sent again;
    the operation, which was open all the time, is sent with each half."""
    first, second = row(0), row(timedelta(hours=1))
    ours = {
        "operation_id": first["id"],
        "trace_id": b"t" * 16,
        "parent_span_id": b"o" * 8,
        "service_name": "shop",
    }
    first |= ours | {"span_id": b"1" * 8}
    second |= ours | {"span_id": b"2" * 8, "resend_count": 1, "resend_of": first["id"]}
    url = stored(tmp_path / "calls.db", [first, second])
    engine = open_engine(url)
    waiting = WaitingOperations()
    waiting.append(
        OperationSpan(
            id=uuid7(microseconds(NOON) - 5),
            operation_id=first["id"],
            name="plan tour",
            session_id="s-1",
            tags='{"team":"fleet"}',
            service_name="shop",
            environment=None,
            started_us=microseconds(NOON) - 5,
            ended_us=microseconds(NOON) + 7_200_000_000,
            error_type="ValueError",
            trace_id=b"t" * 16,
            span_id=b"o" * 8,
            parent_span_id=b"a" * 8,
        )
    )
    waiting.store(engine)
    engine.dispose()
    with collecting() as collector:
        send = ("export", "spans", "--db", url, "--endpoint", collector.url)
        one = tachograph(*send, "--since", "2026-11-01T12:00", "--until", "2026-11-01T12:30")
        other = tachograph(*send, "--since", "2026-11-01T12:30")
    assert one.out == other.out == "spans sent: 1 of 1 calls, 1 operation\n"
    operation, sending, again, resending = collector.spans
    assert operation == again
    assert operation.name == "plan tour"
    assert operation.kind == Span.SPAN_KIND_INTERNAL
    assert operation.parent_span_id == b"a" * 8
    assert operation.span_id == sending.parent_span_id == resending.parent_span_id
    assert operation.start_time_unix_nano == (microseconds(NOON) - 5) * 1000
    assert operation.status.code == Status.STATUS_CODE_ERROR
    assert [link.span_id for link in resending.links] == [sending.span_id]
