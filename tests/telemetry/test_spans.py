"""What an app's backend gets of a call, from a real SDK."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from tachograph.core.records import Call, Cost, Usage
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context

    from tests.telemetry.conftest import Sdk


def test_a_span_has_the_name_kind_and_times_of_its_call(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    spans = Spans(sdk.provider)
    call = call_with(spans.begin())
    assert spans.make(call, usage, cost) is True
    span = sdk.span()
    assert span.name == "chat anthropic/claude-sonnet-4.5"
    assert span.kind is SpanKind.CLIENT
    assert span.start_time == call.started_us * 1000
    assert span.end_time == call.started_us * 1000 + 1_500_000_000
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "tachograph"


def test_a_span_tells_usage_and_cost(
    sdk: Sdk, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    spans = Spans(sdk.provider)
    spans.make(call_with(spans.begin()), usage, cost)
    attributes = dict(sdk.span().attributes or {})
    told = {
        "gen_ai.provider.name": "openrouter",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_write.input_tokens": 100,
        "gen_ai.usage.cost": 0.0051,
        "openrouter.cost": 0.0051,
        "openrouter.cost_source": "billed",
        "openrouter.upstream_cost": 0.005,
        "openrouter.is_byok": False,
        "openrouter.provider": "Amazon Bedrock",
        "openrouter.generation_id": "gen-1790000000-abc",
        "openrouter.attempt": 1,
        "openrouter.operation_name": "summarise",
        "openrouter.tag.team": "search",
        "server.address": "openrouter.ai",
        "server.port": 443,
    }
    assert {name: attributes[name] for name in told} == told
    assert "gen_ai.usage.cost.amount" not in attributes


def test_what_is_unknown_is_left_out(sdk: Sdk, call_with: Callable[..., Call]) -> None:
    spans = Spans(sdk.provider)
    spans.make(call_with(spans.begin()), None, Cost())
    attributes = sdk.span().attributes or {}
    assert not [name for name in attributes if name.startswith("gen_ai.usage.")]
    assert "openrouter.cost" not in attributes
    assert attributes["openrouter.cost_source"] == "unknown"


@pytest.mark.parametrize(
    ("facts", "status", "error_type", "finish_reasons"),
    [
        ({}, StatusCode.UNSET, None, ("stop",)),
        (
            {"outcome": "failed", "http_status": 429, "error_type": "rate_limited"},
            StatusCode.ERROR,
            "rate_limited",
            ("error",),
        ),
        ({"outcome": "failed", "http_status": 500}, StatusCode.ERROR, "_OTHER", ("error",)),
        ({"outcome": "abandoned"}, StatusCode.UNSET, None, ("error",)),
        (
            {"outcome": "abandoned", "error_type": "cancelled"},
            StatusCode.ERROR,
            "cancelled",
            ("error",),
        ),
        ({"outcome": "refused"}, StatusCode.ERROR, "_OTHER", ("error",)),
    ],
)
def test_status_and_error_type_follow_the_outcome(
    sdk: Sdk,
    call_with: Callable[..., Call],
    facts: dict[str, Any],
    status: StatusCode,
    error_type: str | None,
    finish_reasons: tuple[str, ...],
) -> None:
    spans = Spans(sdk.provider)
    finish_reason = "stop" if not facts else None
    spans.make(call_with(spans.begin(), finish_reason=finish_reason, **facts), None, Cost())
    span = sdk.span()
    assert span.status.status_code is status
    assert (span.attributes or {}).get("error.type") == error_type
    assert (span.attributes or {})["gen_ai.response.finish_reasons"] == finish_reasons


def test_first_token_and_an_error_inside_an_answer_are_events(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    call = call_with(
        spans.begin(),
        outcome="failed",
        error_type="provider_unavailable",
        error_code="502",
        error_message="Upstream went away",
    )
    spans.make(call, None, Cost())
    span = sdk.span()
    first_token, error = span.events
    assert first_token.name == "openrouter.first_token"
    assert first_token.timestamp == call.started_us * 1000 + 500_000_000
    assert error.name == "openrouter.error_in_answer"
    assert error.timestamp == span.end_time
    assert dict(error.attributes or {}) == {
        "error.type": "provider_unavailable",
        "openrouter.error_code": "502",
    }
    assert span.status.description == "Upstream went away"


def test_a_call_whose_process_died_ends_where_it_was_last_seen(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    call = call_with(
        spans.begin(), latency_seconds=None, outcome="abandoned", error_type="interrupted"
    )
    spans.make(call, None, Cost())
    span = sdk.span()
    assert span.start_time is not None
    assert span.end_time == span.start_time + 500_000_000


def test_a_path_that_infers_nothing_gives_its_name(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    call = call_with(spans.begin(), operation_name=None, request_model=None, path="/models")
    spans.make(call, None, Cost())
    assert sdk.span().name == "/models"


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        ("eu.openrouter.ai", "eu.openrouter.ai", 443),
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("llm.example.com", "llm.example.com", None),
        ("[::1]", "::1", None),
    ],
)
def test_a_host_is_an_address_and_a_port(
    sdk: Sdk, call_with: Callable[..., Call], host: str, address: str, port: int | None
) -> None:
    spans = Spans(sdk.provider)
    spans.make(call_with(spans.begin(), host=host), None, Cost())
    attributes = sdk.span().attributes or {}
    assert (attributes["server.address"], attributes.get("server.port")) == (address, port)


# --- providers ---


def test_without_a_provider_there_is_no_span_and_a_later_one_is_found(
    call_with: Callable[..., Call], sdk: Sdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = Spans()
    assert spans.begin() is None
    assert spans.make(call_with(), None, Cost()) is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", sdk.provider)
    ids = spans.begin()
    assert ids is not None
    assert spans.make(call_with(ids), None, Cost()) is True
    assert len(sdk.spans()) == 1


def test_a_remote_parent_alone_makes_no_span() -> None:
    remote = trace.NonRecordingSpan(SpanContext(1, 2, is_remote=True))
    with trace.use_span(remote):
        assert Spans().begin() is None


def test_providers_that_make_no_spans(
    monkeypatch: pytest.MonkeyPatch, sdk_with: Callable[..., Sdk]
) -> None:
    assert Spans(trace.NoOpTracerProvider()).begin() is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert Spans(sdk_with().provider).begin() is None


def test_spans_of_others_keep_their_ids(sdk: Sdk, call_with: Callable[..., Call]) -> None:
    spans = Spans(sdk.provider)
    ids = spans.begin()
    other = sdk.provider.get_tracer("app").start_span("work")
    spans.make(call_with(ids), None, Cost())
    other.end()
    ours, app = sdk.spans()
    assert app.context is not None
    assert ours.context is not None
    assert app.context.trace_id != ours.context.trace_id


def test_trace_ids_have_the_form_that_the_app_prescribes(sdk_with: Callable[..., Sdk]) -> None:
    class XRay(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return 0x5759E988BD862E3FE1BE46A994272793

    ids = Spans(sdk_with(id_generator=XRay()).provider).begin()
    assert ids is not None
    assert ids.trace_id.hex() == "5759e988bd862e3fe1be46a994272793"


# --- parents ---


def test_the_span_is_a_child_of_the_one_that_was_current(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    with sdk.provider.get_tracer("app").start_as_current_span("work"):
        ids = spans.begin()
    spans.make(call_with(ids), None, Cost())
    parent, span = sdk.spans()
    assert ids is not None
    assert ids.parent_span_id is not None
    assert span.parent == parent.context
    assert span.context is not None
    assert span.context.span_id.to_bytes(8) == ids.span_id
    assert span.context.trace_id.to_bytes(16) == ids.trace_id
    assert int.from_bytes(ids.parent_span_id) == span.parent.span_id if span.parent else False


def test_parents_in_threads_and_tasks(sdk: Sdk, call_with: Callable[..., Call]) -> None:
    """Many at once, all made by one writer: each keeps its own parent."""
    spans = Spans(sdk.provider)
    tracer = sdk.provider.get_tracer("app")
    begun = []

    def in_thread(number: int) -> None:
        with tracer.start_as_current_span(f"thread {number}"):
            begun.append((f"thread {number}", spans.begin()))

    async def in_task(number: int) -> None:
        with tracer.start_as_current_span(f"task {number}"):
            await asyncio.sleep(0)
            begun.append((f"task {number}", spans.begin()))

    async def tasks() -> None:
        await asyncio.gather(*(in_task(n) for n in range(20)))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(in_thread, range(20)))
    asyncio.run(tasks())

    def write() -> None:
        for name, ids in begun:
            spans.make(call_with(ids, name=name), None, Cost())

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()

    by_id = {span.context.span_id: span.name for span in sdk.spans() if span.context}
    ours = [span for span in sdk.spans() if span.kind is SpanKind.CLIENT]
    assert len(ours) == 40
    for span in ours:
        assert span.parent is not None
        assert by_id[span.parent.span_id] == (span.attributes or {})["openrouter.operation_name"]


# --- sampling ---


@pytest.mark.parametrize("parent", [True, False])
def test_ratio_sampling_decides_alike_for_all_spans_of_a_trace(
    sdk_with: Callable[..., Sdk], call_with: Callable[..., Call], *, parent: bool
) -> None:
    sdk = sdk_with(sampler=sampling.ParentBasedTraceIdRatio(0.5))
    spans = Spans(sdk.provider)
    decided = []
    for _ in range(200):
        if parent:
            with sdk.provider.get_tracer("app").start_as_current_span("work") as work:
                calls = [call_with(spans.begin()) for _ in range(2)]
            expected: set[bool | None] = {work.get_span_context().trace_flags.sampled}
        else:
            call = call_with(spans.begin())
            calls = [call, call]  # the second is the replay
            expected = {spans.make(call, None, Cost())}
        assert {spans.make(call, None, Cost()) for call in calls} == expected
        decided.append(True in expected)
    assert 60 < sum(decided) < 140  # random ids: 6 standard deviations


@pytest.mark.parametrize("remote", [True, False])
def test_samplers_see_flags_state_and_remoteness_of_the_parent(
    sdk_with: Callable[..., Sdk], call_with: Callable[..., Call], *, remote: bool
) -> None:
    seen: list[SpanContext] = []

    class Watching(sampling.Sampler):
        def should_sample(
            self, parent_context: Context | None, *args: Any, **kwargs: Any
        ) -> sampling.SamplingResult:
            seen.append(trace.get_current_span(parent_context).get_span_context())
            return sampling.SamplingResult(sampling.Decision.RECORD_AND_SAMPLE)

        def get_description(self) -> str:
            return "watching"

    parent = SpanContext(
        0xABC,
        0xDEF,
        is_remote=remote,
        trace_flags=TraceFlags(3),
        trace_state=TraceState([("rojo", "00f067aa0ba902b7"), ("congo", "t61rcWkgMzE")]),
    )
    spans = Spans(sdk_with(sampler=Watching()).provider)
    with trace.use_span(trace.NonRecordingSpan(parent)):
        ids = spans.begin()
    spans.make(call_with(ids), None, Cost())
    assert seen == [parent]
    assert seen[0].is_remote is remote
    assert seen[0].trace_state == parent.trace_state


def test_a_call_under_a_parent_that_was_not_sampled_has_ids_but_no_span(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    parent = trace.NonRecordingSpan(SpanContext(1, 2, is_remote=True))
    with trace.use_span(parent):
        ids = spans.begin()
    assert ids is not None
    assert spans.make(call_with(ids), None, Cost()) is False
    assert sdk.spans() == ()


def test_samplers_are_given_what_the_conventions_name(
    sdk_with: Callable[..., Sdk], call_with: Callable[..., Call]
) -> None:
    seen: dict[str, Any] = {}

    class Watching(sampling.Sampler):
        def should_sample(
            self,
            parent_context: Context | None,
            trace_id: int,
            name: str,
            kind: SpanKind | None = None,
            attributes: Any = None,
            links: Sequence[Any] | None = None,
            trace_state: TraceState | None = None,
        ) -> sampling.SamplingResult:
            seen.update(attributes)
            return sampling.SamplingResult(sampling.Decision.DROP)

        def get_description(self) -> str:
            return "watching"

    spans = Spans(sdk_with(sampler=Watching()).provider)
    assert spans.make(call_with(spans.begin()), None, Cost()) is False
    assert seen == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": "anthropic/claude-sonnet-4.5",
        "server.address": "openrouter.ai",
        "server.port": 443,
    }


# --- replay ---


def test_a_replay_in_another_process_makes_the_same_span(
    sdk_with: Callable[..., Sdk], call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    first, second = sdk_with(), sdk_with()
    with first.provider.get_tracer("app").start_as_current_span("work"):
        call = call_with(Spans(first.provider).begin())
    journalled = msgspec.msgpack.decode(msgspec.msgpack.encode(call), type=Call)
    Spans(first.provider).make(call, usage, cost)
    Spans(second.provider).make(journalled, usage, cost)
    one = msgspec.json.decode(first.spans()[1].to_json())
    other = msgspec.json.decode(second.span().to_json())
    del one["resource"], other["resource"]
    assert one == other


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_ids_differ_after_a_fork_and_under_a_seed() -> None:
    """A worker forked from another, or an app that seeds `random`, has ids of its own."""
    program = """
import os, random
from opentelemetry.sdk.trace import TracerProvider
from tachograph.telemetry.spans import Spans
spans = Spans(TracerProvider(shutdown_on_exit=False))
random.seed(1)
spans.begin()
os.fork()
random.seed(1)
ids = spans.begin()
os.write(1, (ids.trace_id.hex() + ids.span_id.hex() + "\\n").encode())
"""
    output = "".join(
        subprocess.run(  # twice: two runs of one program under the same seed
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    )
    assert len(set(output.split())) == 4
