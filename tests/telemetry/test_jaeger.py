"""Spans in a real Jaeger, over OTLP/HTTP and gRPC, read back through its query API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from uuid import UUID

import msgspec
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tachograph.core.ids import uuid7
from tachograph.core.records import Call, Cost, Usage
from tachograph.telemetry.exporters import otlp_span_exporter
from tachograph.telemetry.resource import app_resource
from tachograph.telemetry.span_ids import REMADE_FLAGS
from tachograph.telemetry.spans import Spans
from tachograph.telemetry.stored import StoredCall, StoredSpans
from tests.telemetry.jaeger import Jaeger, references, tags


def _provider(jaeger: Jaeger, protocol: str) -> TracerProvider:
    provider = TracerProvider(
        resource=app_resource({"service.name": "shop", "deployment.environment.name": "test"}),
        shutdown_on_exit=False,
    )
    exporter = otlp_span_exporter(jaeger.endpoint(protocol))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def test_a_trace_is_found_as_it_was(
    jaeger: Jaeger, protocol: str, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    """The app's span, the operation, a call that was rate limited, and its re-sending."""
    provider = _provider(jaeger, protocol)
    spans = Spans(provider)
    at_us = call_with().started_us
    with (
        provider.get_tracer("app").start_as_current_span(
            "GET /summary", start_time=(at_us - 20) * 1000
        ) as work,
        spans.operation("summarise", tags='{"team":"search"}'),
    ):
        first = spans.begin()
        assert first is not None
        second = spans.begin(first.sending)
        assert second is not None
    limited = call_with(
        first, outcome="failed", http_status=429, error_type="rate_limited", stream=False
    )
    answered = call_with(second, resend_count=1, attempt=2, started_us=at_us + 2_000_000)
    assert spans.make(limited, None, Cost()) is True
    assert spans.make(answered, usage, cost, first.sending) is True
    provider.shutdown()

    trace_id = f"{work.get_span_context().trace_id:032x}"
    found = {span["spanID"]: span for span in jaeger.spans(trace_id, 4)}
    assert len(found) == 4
    assert jaeger.service(trace_id) == "shop"
    failed, completed = found[first.span_id.hex()], found[second.span_id.hex()]
    (operation,) = (span for span in found.values() if span["operationName"] == "summarise")
    assert references(operation) == {"CHILD_OF": f"{work.get_span_context().span_id:016x}"}
    assert references(failed) == {"CHILD_OF": operation["spanID"]}
    assert references(completed) == {
        "CHILD_OF": operation["spanID"],
        "FOLLOWS_FROM": first.span_id.hex(),
    }
    assert completed["operationName"] == "chat anthropic/claude-sonnet-4.5"
    assert completed["startTime"] == at_us + 2_000_000
    assert completed["duration"] == 1_500_000
    assert tags(failed)["error"] is True
    assert tags(failed)["error.type"] == "rate_limited"
    said = tags(completed)
    assert "error" not in said
    assert said["span.kind"] == "client"
    assert said["openrouter.cost"] == said["gen_ai.usage.cost"] == 0.0051
    assert said["openrouter.provider"] == "Amazon Bedrock"
    assert said["http.request.resend_count"] == 1
    (first_token,) = completed["logs"]
    assert first_token["timestamp"] == at_us + 2_500_000


def test_two_variables_are_all_that_an_app_needs(jaeger: Jaeger, protocol: str) -> None:
    program = """
from tachograph.telemetry.setup import configure_otel
with configure_otel().get_tracer("app").start_as_current_span("work") as span:
    print(f"{span.get_span_context().trace_id:032x}")
"""
    environment = {
        **os.environ,
        "OTEL_SERVICE_NAME": "two-variables",
        "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.endpoint(protocol),
    }
    trace_id = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()
    (span,) = jaeger.spans(trace_id, 1)
    assert span["operationName"] == "work"
    assert jaeger.service(trace_id) == "two-variables"


def test_what_a_dead_collector_missed_is_sent_again(
    jaeger: Jaeger, protocol: str, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    """Half of the spans arrived, then all are sent, twice: in Jaeger each is there once."""
    provider = _provider(jaeger, protocol)
    spans = Spans(provider)
    with provider.get_tracer("app").start_as_current_span("work"):
        calls = [call_with(spans.begin(), id=uuid7(n)) for n in range(1, 21)]
    for call in calls[:10]:
        spans.make(call, usage, cost)
    provider.shutdown()
    stored = [
        StoredCall(msgspec.structs.replace(call, trace_flags=REMADE_FLAGS), usage, cost)
        for call in calls
    ]
    for _ in range(2):
        with StoredSpans(otlp_span_exporter(jaeger.endpoint(protocol))) as again:
            assert sum(again.send(stored)) == 20
    (trace_id,) = {call.trace_id for call in calls}
    assert trace_id is not None
    found = [span for span in jaeger.spans(trace_id.hex(), 21) if span["operationName"] != "work"]
    assert sorted(tags(span)["openrouter.call_id"] for span in found) == [
        str(UUID(bytes=call.id)) for call in calls
    ]
    assert {span["spanID"] for span in found} == {
        call.span_id.hex() for call in calls if call.span_id
    }
