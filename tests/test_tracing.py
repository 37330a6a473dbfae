"""Spans of recorded calls, over a real socket: what is current, and what the request says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph import Recorder
from tachograph.analytics import read_calls
from tachograph.core.units import microseconds
from tachograph.httpx import RecordingTransport
from tachograph.store.operation_spans import read_operation_spans
from tachograph.testing import Chat, FakeOpenRouter, failure

ASK = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}


class App:
    """An app with an SDK of its own, whose transport tells which span was current."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.current: list[int] = []

    def transport(self) -> httpx.BaseTransport:
        app = self

        class Telling(httpx.HTTPTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                app.current.append(trace.get_current_span().get_span_context().span_id)
                return super().handle_request(request)

        return Telling()

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.provider.shutdown()


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


def _ask(server: FakeOpenRouter, transport: httpx.BaseTransport, times: int = 1) -> None:
    with httpx.Client(base_url=server.base_url, transport=transport) as client:
        request = client.build_request("POST", "chat/completions", json=ASK)
        for _ in range(times):
            client.send(request)


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id


def test_deferred_the_request_and_what_is_current_stay_as_they_are(
    app: App, server: FakeOpenRouter, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with Recorder(url, base_urls=[server.base_url], tracer_provider=app.provider) as recorder:
        with app.provider.get_tracer("app").start_as_current_span("work"):
            _ask(server, RecordingTransport(recorder, app.transport()))
        recorder.flush()
    spans = app.spans()
    assert app.current == [_id(spans["work"])]
    assert spans["chat openai/gpt-5-mini"].parent == spans["work"].context
    assert "traceparent" not in server.requests[0].headers


def test_inline_the_span_is_current_below_the_recording(
    app: App, server: FakeOpenRouter, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with Recorder(
        url, base_urls=[server.base_url], tracer_provider=app.provider, otel_mode="inline"
    ) as recorder:
        _ask(server, RecordingTransport(recorder, app.transport()))
        recorder.flush()
    assert app.current == [_id(app.spans()["chat openai/gpt-5-mini"])]
    assert "traceparent" not in server.requests[0].headers


def test_each_sending_of_a_request_carries_the_id_of_its_own_span(
    app: App, server: FakeOpenRouter, tmp_path: Path
) -> None:
    """The same Request object is sent again, so what the first sending wrote must not stay."""
    server.script(failure("rate_limited"))
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with Recorder(
        url,
        base_urls=[server.base_url],
        tracer_provider=app.provider,
        otel_mode="inline",
        propagate=True,
    ) as recorder:
        _ask(server, RecordingTransport(recorder, app.transport()), times=2)
        recorder.flush()
    calls = read_calls(url)
    assert [request.headers["traceparent"].split("-")[1:3] for request in server.requests] == [
        [call["trace_id"], call["span_id"]] for call in calls.iter_rows(named=True)
    ]
    assert calls["resend_count"].to_list() == [0, 1]
    assert calls["resend_of"].to_list() == [None, calls["id"][0]]


def test_the_spans_of_operations_are_kept_for_later(
    app: App, server: FakeOpenRouter, tmp_path: Path
) -> None:
    """With the id by which its calls name it, also where one is in another."""
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with Recorder(url, base_urls=[server.base_url], tracer_provider=app.provider) as recorder:
        with recorder.operation("outer"), recorder.operation("plan tour", session="s-1"):
            _ask(server, RecordingTransport(recorder, app.transport()))
        assert recorder.flush()
        call = read_calls(url).row(0, named=True)
        outer, inner = read_operation_spans(url, datetime(2026, 1, 1, tzinfo=UTC), None)
    assert inner.span_id.hex() == call["parent_span_id"]
    assert inner.parent_span_id == outer.span_id
    assert (inner.name, inner.session_id, inner.operation_id) == (
        "plan tour",
        "s-1",
        UUID(call["operation_id"]).bytes,
    )
    assert outer.operation_id is None
    assert outer.started_us <= inner.started_us <= microseconds(call["started_at"])
    assert inner.ended_us <= outer.ended_us


@pytest.mark.parametrize("stream", [False, True])
def test_content_on_spans_is_what_was_left_by_redaction(
    app: App,
    server: FakeOpenRouter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    server.script(Chat("Hello Ada.").stream() if stream else Chat("Hello Ada.").plain())

    def redact(request: Any, answer: Any) -> tuple[Any, Any]:
        asked, said = json.loads(json.dumps([request, answer]).replace("Ada", "NAME"))
        return asked, said

    with Recorder(
        f"sqlite:///{tmp_path / 'calls.db'}",
        base_urls=[server.base_url],
        tracer_provider=app.provider,
        capture_content=redact,
    ) as recorder:
        transport = RecordingTransport(recorder, app.transport())
        with httpx.Client(base_url=server.base_url, transport=transport) as client:
            asked = {**ASK, "messages": [{"role": "user", "content": "I am Ada."}]}
            client.post("chat/completions", json={**asked, "stream": stream})
        recorder.flush()
    said = app.spans()["chat openai/gpt-5-mini"].attributes or {}
    (question,) = json.loads(str(said["gen_ai.input.messages"]))
    (answer,) = json.loads(str(said["gen_ai.output.messages"]))
    assert question["parts"] == [{"type": "text", "content": "I am NAME."}]
    assert answer["parts"] == [{"type": "text", "content": "Hello NAME."}]
    assert answer["finish_reason"] == "stop"


def test_a_setting_gives_the_names_of_the_conventions_before(
    app: App, server: FakeOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_SEMCONV", "1.42")
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    with Recorder(
        f"sqlite:///{tmp_path / 'calls.db'}",
        base_urls=[server.base_url],
        tracer_provider=app.provider,
        meter_provider=meters,
    ) as recorder:
        _ask(server, RecordingTransport(recorder, app.transport()))
        recorder.flush()
    said = app.spans()["chat openai/gpt-5-mini"].attributes or {}
    assert "gen_ai.usage.cache_creation.input_tokens" in said
    data: Any = reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    assert "gen_ai.client.token.usage" in {metric.name for metric in scope.metrics}
    meters.shutdown()


@pytest.mark.parametrize(
    ("attributes", "variables", "app_"),
    [
        ({"service.name": "shop", "deployment.environment.name": "prod"}, "", ("shop", "prod")),
        ({"service.name": "shop", "deployment.environment": "prod"}, "", ("shop", "prod")),
        ({"service.name": "shop"}, "service.name=till", ("till", None)),
        ({}, "deployment.environment.name=prod", (None, "prod")),
        ({}, "", (None, None)),
    ],
)
def test_the_app_is_named_by_the_resource_where_the_environment_is_silent(
    app: App,
    server: FakeOpenRouter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, str],
    variables: str,
    app_: tuple[str | None, str | None],
) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", variables)
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with Recorder(url, base_urls=[server.base_url], tracer_provider=provider) as recorder:
        with recorder.operation("summarise"):
            _ask(server, RecordingTransport(recorder, app.transport()))
        recorder.flush()
        (call,) = read_calls(recorder).iter_rows(named=True)
    assert (call["service_name"], call["environment"]) == app_
    provider.shutdown()
