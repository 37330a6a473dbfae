"""Spans of stored calls: the same as the first time, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph.analytics import read_calls
from tachograph.core.ids import uuid7
from tachograph.core.records import Call, Cost, Usage
from tachograph.errors import TachographError
from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.rows import call_row
from tachograph.telemetry.spans import Spans
from tachograph.telemetry.stored import BATCH, StoredCall, StoredSpans, stored_call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.telemetry.conftest import Sdk

Stored = tuple[Call, Usage | None, Cost]


@pytest.fixture
def through_sql(tmp_path: Path) -> Callable[[Sequence[Stored]], list[StoredCall]]:
    """Calls as they come back from a database."""

    def through_sql(stored: Sequence[Stored]) -> list[StoredCall]:
        url = f"sqlite:///{tmp_path / 'calls.db'}"
        engine = open_engine(url)
        migrate.ensure(engine)
        rows = [call_row(call, usage, cost, True) for call, usage, cost in stored]
        Inserter(engine).store(rows, Ledger(uuid7(1), 1, 1, len(rows), {}))
        engine.dispose()
        return [stored_call(row) for row in read_calls(url).iter_rows(named=True)]

    return through_sql


def _made(calls: Sequence[StoredCall]) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    with StoredSpans(exporter) as spans:
        assert sum(spans.send(calls)) == len(calls)
    return exporter.get_finished_spans()


def _content(span: ReadableSpan) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.json.decode(span.to_json())
    del content["resource"]
    return content


def test_a_stored_call_gives_the_span_that_it_gave_when_it_ended(
    sdk: Sdk,
    call_with: Callable[..., Call],
    usage: Usage,
    cost: Cost,
    through_sql: Callable[[Sequence[Stored]], list[StoredCall]],
) -> None:
    spans = Spans(sdk.provider)
    first = spans.begin()
    assert first is not None
    at_us = call_with().started_us
    stored: list[Stored] = [
        (call_with(first, outcome="failed", error_type="rate_limited"), None, Cost()),
        (
            call_with(
                spans.begin(first.sending),
                id=uuid7(at_us + 1),
                started_us=at_us + 1,
                resend_count=1,
                resend_of=call_with().id,
                attempt=2,
            ),
            usage,
            cost,
        ),
    ]
    spans.make(*stored[0])
    spans.make(*stored[1], first.sending)
    made = _made(through_sql(stored))
    assert [_content(span) for span in made] == [_content(span) for span in sdk.spans()]
    assert made[0].resource.attributes["service.name"] == "shop"
    assert made[0].resource.attributes["deployment.environment.name"] == "test"


def test_calls_recorded_without_a_tracer_get_the_same_ids_each_time(
    call_with: Callable[..., Call],
    through_sql: Callable[[Sequence[Stored]], list[StoredCall]],
) -> None:
    at_us = call_with().started_us
    calls = through_sql(
        [(call_with(id=uuid7(at_us + n), started_us=at_us + n), None, Cost()) for n in range(3)]
    )
    once, again = _made(calls), _made(calls)
    assert [_content(span) for span in once] == [_content(span) for span in again]
    contexts = [span.context for span in once if span.context]
    assert len({context.trace_id for context in contexts}) == 1  # of one operation
    assert len({context.span_id for context in contexts}) == 3


def test_sendings_under_one_foreign_span_do_not_share_its_id(
    call_with: Callable[..., Call],
    through_sql: Callable[[Sequence[Stored]], list[StoredCall]],
) -> None:
    at_us = call_with().started_us
    foreign = {"trace_id": b"t" * 16, "span_id": b"s" * 8}
    one, other = _made(
        through_sql(
            [
                (call_with(id=uuid7(at_us + n), started_us=at_us + n, **foreign), None, Cost())
                for n in range(2)
            ]
        )
    )
    assert other.parent is not None
    assert one.context is not None
    assert other.parent.span_id == one.context.span_id == int.from_bytes(b"s" * 8)


def test_progress_is_told_and_a_refusal_is_an_error(
    call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    calls = [StoredCall(call_with(id=uuid7(n)), usage, cost) for n in range(1, BATCH + 11)]
    exporter = InMemorySpanExporter()
    assert list(StoredSpans(exporter).send(calls)) == [BATCH, 10]

    class Refusing(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.FAILURE

    with pytest.raises(TachographError, match="did not take 10 spans"):
        list(StoredSpans(Refusing()).send(calls[:10]))
