"""`tachograph export spans`: what a collector gets of stored calls."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.analytics.rows import row
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
