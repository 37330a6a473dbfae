"""Other instrumentations of the same call: one span claims to be the call, and it has the cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import openai
import pytest
from opentelemetry import trace

from tachograph.core.pricing import settle
from tachograph.core.records import Call, Cost, Usage
from tachograph.core.trace_flags import is_foreign
from tachograph.telemetry.span_ids import SpanIds
from tachograph.telemetry.spans import OnForeignSpan, Spans
from tests.required import missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.telemetry.conftest import Sdk

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.0051}
ANSWER = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1,
    "model": "openai/gpt-5",
    "provider": "OpenAI",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "native_finish_reason": "stop",
            "message": {"role": "assistant", "content": "hi"},
        }
    ],
    "usage": USAGE,
}
MESSAGES: Any = [{"role": "user", "content": "x"}]


class Wire:
    """A transport that records what our own does, by the calls of `Spans` alone."""

    def __init__(
        self, spans: Spans, call_with: Callable[..., Call], usage: Usage, *statuses: int
    ) -> None:
        self._spans = spans
        self._call_with = call_with
        self._usage = usage
        self._statuses = list(statuses or (200,))
        self.calls: list[Call] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        ids = self._spans.begin()
        status = self._statuses.pop(0)
        if msgspec.json.decode(request.content).get("stream"):
            return httpx2.Response(
                200,
                headers={"content-type": "text/event-stream"},
                stream=Stream(lambda: self._ended(ids, 200)),
            )
        self._ended(ids, status)
        return httpx2.Response(status, json=ANSWER if status == 200 else {"error": {"code": 429}})

    def _ended(self, ids: SpanIds | None, status: int) -> None:
        failed = {"outcome": "failed", "error_type": "rate_limited", "http_status": status}
        call = self._call_with(ids, **(failed if status >= 400 else {}))
        if is_foreign(call.trace_flags):
            call = self._spans.enrich(call, self._usage if status == 200 else None)
        self.calls.append(call)

    def write(self) -> list[bool | None]:
        return [
            self._spans.make(call, self._usage, settle(self._usage, None)) for call in self.calls
        ]


class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def _pieces(self) -> Iterator[bytes]:
        delta = {**ANSWER, "object": "chat.completion.chunk"}
        delta["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]
        last = {**delta, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        for event in (msgspec.json.encode(delta), msgspec.json.encode(last), b"[DONE]"):
            yield b"data: " + event + b"\n\n"

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces():
            yield piece

    def close(self) -> None:
        self._ended()

    async def aclose(self) -> None:
        self._ended()


def _chat(wire: Wire, *, stream: bool = False) -> None:
    transport = httpx2.MockTransport(wire)
    client = openai.OpenAI(
        api_key="none",
        base_url="https://openrouter.ai/api/v1",
        http_client=httpx2.Client(transport=transport),
    )
    answer = client.chat.completions.create(model="openai/gpt-5", messages=MESSAGES, stream=stream)
    if stream:
        assert len(list(answer)) == 2
    client.close()


@pytest.fixture
def genai_openai(sdk: Sdk) -> Iterator[None]:
    """OpenTelemetry's own instrumentation of openai."""
    try:
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    except ImportError:
        missing("opentelemetry-instrumentation-genai-openai is not installed")
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=sdk.provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("genai_openai")
@pytest.mark.parametrize("stream", [False, True])
def test_the_span_of_opentelemetrys_openai_gets_our_attributes(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage, *, stream: bool
) -> None:
    wire = Wire(Spans(sdk.provider), call_with, usage)
    _chat(wire, stream=stream)
    assert wire.write() == [True]
    span = sdk.span()
    attributes = span.attributes or {}
    assert attributes["gen_ai.provider.name"] == "openrouter"
    assert attributes["openrouter.provider"] == "Amazon Bedrock"
    assert attributes["openrouter.cost"] == attributes["gen_ai.usage.cost"] == 0.0051
    assert attributes["gen_ai.response.id"] == "gen-1"  # its own
    (call,) = wire.calls
    assert span.context is not None
    assert call.span_id == span.context.span_id.to_bytes(8)
    assert call.trace_id == span.context.trace_id.to_bytes(16)
    assert [event.name for event in span.events] == ["openrouter.first_token"]


@pytest.mark.usefixtures("genai_openai")
def test_a_foreign_span_over_two_sendings_tells_the_failed_one(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai._base_client.time.sleep", lambda seconds: None)
    wire = Wire(Spans(sdk.provider), call_with, usage, 429, 200)
    _chat(wire)
    assert wire.write() == [True, True]
    span = sdk.span()
    failed = next(event for event in span.events if event.name == "openrouter.call_failed")
    assert (failed.attributes or {})["error.type"] == "rate_limited"
    assert "error.type" not in (span.attributes or {})
    assert (span.attributes or {})["openrouter.outcome"] == "completed"
    assert len({call.span_id for call in wire.calls}) == 1


@pytest.mark.usefixtures("genai_openai")
def test_own_spans_beneath_a_foreign_one_when_asked_for(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage
) -> None:
    wire = Wire(Spans(sdk.provider, on_foreign_span="own"), call_with, usage)
    _chat(wire)
    assert wire.write() == [True]
    foreign, ours = sdk.spans()
    assert ours.parent == foreign.context
    assert "openrouter.cost" not in (foreign.attributes or {})


def test_the_span_of_pydantic_ai_gets_our_attributes(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage
) -> None:
    try:
        from pydantic_ai import Agent
        from pydantic_ai.models.instrumented import InstrumentationSettings
        from pydantic_ai.models.openrouter import OpenRouterModel
        from pydantic_ai.providers.openrouter import OpenRouterProvider
    except ImportError:
        missing("pydantic-ai-slim[openai] is not installed")
    wire = Wire(Spans(sdk.provider), call_with, usage)

    async def ask() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(wire)) as client:
            provider = OpenRouterProvider(api_key="none", http_client=client)
            await Agent(OpenRouterModel("openai/gpt-5", provider=provider)).run("x")

    Agent.instrument_all(InstrumentationSettings(tracer_provider=sdk.provider))
    try:
        asyncio.run(ask())
    finally:
        Agent.instrument_all(False)
    assert wire.write() == [True]
    chat, agent_run = sdk.spans()
    assert (chat.attributes or {})["openrouter.cost"] == 0.0051
    assert chat.parent == agent_run.context
    assert "openrouter.cost" not in (agent_run.attributes or {})


def test_the_span_of_openinference_gets_our_attributes_under_its_own_names(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage
) -> None:
    """It is no CLIENT span and has no `gen_ai.operation.name`."""
    spans = Spans(sdk.provider)
    for kind, is_call in (("LLM", True), ("EMBEDDING", True), ("CHAIN", False)):
        attributes = {"openinference.span.kind": kind}
        tracer = sdk.provider.get_tracer("openinference.instrumentation.openai")
        with tracer.start_as_current_span("x", attributes=attributes):
            ids = spans.begin()
            assert ids is not None
            assert is_foreign(ids.trace_flags) is is_call
            if is_call:
                spans.enrich(call_with(ids), usage)
    llm = sdk.spans()[0].attributes or {}
    assert llm["openrouter.cost"] == 0.0051
    assert "gen_ai.provider.name" not in llm


def test_a_span_of_the_app_is_a_parent_and_not_the_call(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    tracer = sdk.provider.get_tracer("app")
    for kind, attributes in (
        (trace.SpanKind.INTERNAL, {"gen_ai.operation.name": "invoke_agent"}),
        (trace.SpanKind.CLIENT, {"gen_ai.operation.name": "invoke_agent"}),
        (trace.SpanKind.CLIENT, {"http.request.method": "POST"}),
    ):
        with tracer.start_as_current_span("work", kind=kind, attributes=attributes) as work:
            ids = spans.begin()
        assert ids is not None
        assert not is_foreign(ids.trace_flags)
        assert ids.parent_span_id == work.get_span_context().span_id.to_bytes(8)


@pytest.mark.parametrize("on_foreign_span", ["enrich", "own"])
def test_a_foreign_span_that_was_not_sampled_leaves_none_of_ours(
    sdk: Sdk, call_with: Callable[..., Call], on_foreign_span: OnForeignSpan
) -> None:
    spans = Spans(sdk.provider, on_foreign_span=on_foreign_span)
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))):
        ids = spans.begin()
    assert spans.make(call_with(ids), None, Cost()) is False
    assert sdk.spans() == ()
