"""A call, a real SDK whose spans stay in memory, and a real Jaeger."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph.core.ids import uuid7
from tachograph.core.records import Call, Cost, Usage
from tachograph.telemetry.span_ids import SpanIds
from tests.telemetry import jaeger as real

STARTED_US = 1_790_000_000_123_456

COMPLETED = Call(
    id=uuid7(STARTED_US),
    operation_id=uuid7(STARTED_US),
    attempt=1,
    resend_count=0,
    operation_name="chat",
    name="summarise",
    session_id="s-1",
    user_id="u-7",
    tags='{"team":"search","urgent":true}',
    service_name="shop",
    environment="test",
    sdk="openai/3.52.0",
    api_key_hash=None,
    host="openrouter.ai",
    path="/chat/completions",
    request_model="anthropic/claude-sonnet-4.5",
    stream=True,
    max_tokens=500,
    temperature=0.2,
    top_p=1.0,
    reasoning_effort="low",
    response_format="json_schema",
    tools=2,
    parameters='{"seed":7,"top_k":40,"n":2,"frequency_penalty":0.5,"presence_penalty":1}',
    request_bytes=1234,
    started_us=STARTED_US,
    latency_seconds=1.5,
    headers_seconds=0.1,
    first_token_seconds=0.5,
    consumer_seconds=0.01,
    outcome="completed",
    http_status=200,
    error_type=None,
    error_code=None,
    error_message=None,
    retry_after_seconds=None,
    chunks=11,
    response_bytes=4321,
    response_model="anthropic/claude-4.5-sonnet-20250929",
    provider="Amazon Bedrock",
    generation_id="gen-1790000000-abc",
    finish_reason="stop",
    native_finish_reason="end_turn",
    service_tier="default",
    cache_status="MISS",
    routing=None,
    usage=b"{}",
    trace_id=None,
    span_id=None,
    parent_span_id=None,
    trace_flags=None,
    tracestate=None,
)

USAGE = Usage(
    input_tokens=1000,
    output_tokens=200,
    total_tokens=1200,
    cache_read_input_tokens=600,
    cache_write_input_tokens=100,
    reasoning_output_tokens=50,
    audio_input_tokens=3,
    audio_output_tokens=4,
    image_output_tokens=5,
    billed_usd=Decimal("0.0051"),
    upstream_usd=Decimal("0.005"),
    is_byok=False,
)

COST = Cost(
    model="anthropic/claude-sonnet-4.5",
    spent_usd=Decimal("0.0051"),
    computed_usd=Decimal("0.0052"),
    cost_source="billed",
    price_id=3,
)


class Sdk(NamedTuple):
    provider: TracerProvider
    exporter: InMemorySpanExporter

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans()
        return span


@pytest.fixture
def call_with() -> Callable[..., Call]:
    """The completed call with other facts, and the ids of its span."""

    def call_with(ids: SpanIds | None = None, **changes: Any) -> Call:
        fixed = {} if ids is None else msgspec.structs.asdict(ids)
        return msgspec.structs.replace(COMPLETED, **{**fixed, **changes})

    return call_with


@pytest.fixture
def usage() -> Usage:
    return USAGE


@pytest.fixture
def cost() -> Cost:
    return COST


@pytest.fixture
def sdk_with() -> Iterator[Callable[..., Sdk]]:
    """An SDK with these settings of a TracerProvider."""
    made = []

    def sdk_with(**settings: Any) -> Sdk:
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **settings)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        made.append(provider)
        return Sdk(provider, exporter)

    yield sdk_with
    for provider in made:
        provider.shutdown()


@pytest.fixture
def sdk(sdk_with: Callable[..., Sdk]) -> Sdk:
    return sdk_with()


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Jaeger]:
    yield from real.serve(tmp_path_factory.mktemp("jaeger"))


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A protocol of OTLP, which is all that the environment says of OpenTelemetry."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", request.param)
    chosen: str = request.param
    return chosen
