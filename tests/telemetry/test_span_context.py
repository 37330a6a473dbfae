"""Around the span of a call: operations, earlier sendings, baggage, inline mode, trouble."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio
from opentelemetry.trace import SpanKind, StatusCode

from tachograph.core.records import Call, Cost, OperationSpan
from tachograph.errors import SettingsError
from tachograph.telemetry.operation_span import operation_span_again
from tachograph.telemetry.semconv import SCOPE, scope_version
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from tests.telemetry.conftest import Sdk


def _ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


# --- operations ---


def test_calls_of_an_operation_are_children_of_its_span(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider)
    with spans.operation("summarise", session="s-1", tags='{"team":"search"}'):
        ids = spans.begin()
    spans.make(call_with(ids), None, Cost())
    operation, call = sdk.spans()
    assert operation.name == "summarise"
    assert operation.kind is SpanKind.INTERNAL
    assert dict(operation.attributes or {}) == {
        "openrouter.operation_name": "summarise",
        "openrouter.tag.team": "search",
        "gen_ai.conversation.id": "s-1",
    }
    assert call.parent is not None
    assert (call.parent.trace_id, call.parent.span_id) == _ids(operation)


def test_an_operation_that_fails_says_so_without_the_message(sdk: Sdk) -> None:
    with pytest.raises(ValueError, match="secret"), Spans(sdk.provider).operation(None):
        raise ValueError("a piece of the secret prompt")
    span = sdk.span()
    assert span.name == "operation"
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


def test_operations_in_tasks_keep_apart(sdk: Sdk, call_with: Callable[..., Call]) -> None:
    spans = Spans(sdk.provider)
    calls = []

    async def work(name: str) -> None:
        with spans.operation(name):
            await asyncio.sleep(0)
            calls.append(call_with(spans.begin(), name=name))
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(f"op {n}") for n in range(10)))

    asyncio.run(main())
    operations = {_ids(span): span.name for span in sdk.spans()}
    sdk.exporter.clear()
    for call in calls:
        spans.make(call, None, Cost())
    for span in sdk.spans():
        assert span.parent is not None
        name = operations[span.parent.trace_id, span.parent.span_id]
        assert name == (span.attributes or {})["openrouter.operation_name"]


def test_an_operation_tells_what_it_takes_to_make_its_span_again(sdk: Sdk) -> None:
    told: list[OperationSpan] = []
    spans = Spans(sdk.provider)
    with (
        sdk.provider.get_tracer("app").start_as_current_span("POST /tours"),
        pytest.raises(ValueError, match="x"),
        spans.operation("outer", session="s-1", tags='{"team":"fleet"}', ended=told.append),
        spans.operation("inner", ended=told.append),
    ):
        raise ValueError("x")
    first = [msgspec.json.decode(span.to_json()) for span in sdk.spans()[:2]]
    sdk.exporter.clear()
    for kept in told:
        operation_span_again(sdk.provider.get_tracer(SCOPE, scope_version()), kept)
    assert [msgspec.json.decode(span.to_json()) for span in sdk.spans()] == first


def test_an_operation_that_is_not_sampled_is_not_kept(sdk_with: Callable[..., Sdk]) -> None:
    told: list[OperationSpan] = []
    with Spans(sdk_with(sampler=ALWAYS_OFF).provider).operation("summarise", ended=told.append):
        pass
    assert told == []


def test_an_operation_ends_well_though_its_span_does_not(
    sdk: Sdk, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("processor is broken")

    sdk.provider.add_span_processor(Broken())
    with Spans(sdk.provider).operation("summarise"):
        pass
    (record,) = caplog.records
    assert "processor is broken" in record.message


def test_an_operation_without_a_provider_is_nothing() -> None:
    with Spans().operation("summarise"):
        assert trace.get_current_span() is trace.INVALID_SPAN


# --- sending again ---


@pytest.mark.parametrize("under", ["a parent", "nothing"])
def test_a_resending_links_to_the_sending_before(
    sdk_with: Callable[..., Sdk], call_with: Callable[..., Call], under: str
) -> None:
    """429, 429, 200: three siblings of one trace, each linked to the one before."""
    sdk = sdk_with(sampler=ParentBasedTraceIdRatio(0.5))
    spans = Spans(sdk.provider)
    token = None
    if under == "a parent":
        parent = sdk_with().provider.get_tracer("app").start_span("work")
        token = context.attach(trace.set_span_in_context(parent))
    earlier, sampled = None, []
    for resend_count in range(3):
        ids = spans.begin(earlier)
        assert ids is not None
        call = call_with(ids, resend_count=resend_count, attempt=resend_count + 1)
        sampled.append(spans.make(call, None, Cost(), earlier))
        earlier = ids.sending
    if token is not None:
        context.detach(token)
    assert len(set(sampled)) == 1
    if not sampled[0]:
        return
    first, second, third = sdk.spans()
    assert first.links == ()
    assert [_ids_of_link(span) for span in (second, third)] == [_ids(first), _ids(second)]
    assert (third.attributes or {})["http.request.resend_count"] == 2
    assert len({_ids(span)[0] for span in (first, second, third)}) == 1
    assert first.parent == second.parent == third.parent


def _ids_of_link(span: ReadableSpan) -> tuple[int, int]:
    (link,) = span.links
    return link.context.trace_id, link.context.span_id


# --- the context of the caller ---


def test_processors_and_samplers_see_the_callers_baggage(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    class Copying(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            span.set_attributes({k: str(v) for k, v in baggage.get_all(parent_context).items()})

    sdk.provider.add_span_processor(Copying())
    spans = Spans(sdk.provider)
    token = context.attach(baggage.set_baggage("tenant", "t-1"))
    ids = spans.begin()
    context.detach(token)
    spans.make(call_with(ids), None, Cost())
    assert (sdk.span().attributes or {})["tenant"] == "t-1"


# --- inline ---


def test_inline_the_span_is_current_while_the_transport_works(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider, mode="inline", propagate=True)
    assert spans.inline
    headers: dict[str, str] = {}
    with sdk.provider.get_tracer("app").start_as_current_span("work"):
        ids = spans.begin()
        call = call_with(ids)
        spans.start(call)
        spans.inject(call.span_id, headers)
        with spans.current(call.span_id):
            sdk.provider.get_tracer("http").start_span("POST").end()
    assert spans.make(call, None, Cost()) is True
    http, work, span = sdk.spans()
    assert span.parent == work.context
    assert http.parent == span.context
    assert ids is not None
    trace_id, span_id = _ids(span)
    assert trace_id.to_bytes(16) + span_id.to_bytes(8) == ids.sending
    assert headers == {"traceparent": f"00-{trace_id:032x}-{span_id:016x}-03"}
    assert span.start_time == call.started_us * 1000
    assert span.end_time == call.started_us * 1000 + 1_500_000_000


def test_a_request_is_not_changed_unless_asked_and_only_by_live_spans(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider, mode="inline")
    call = call_with(spans.begin())
    spans.start(call)
    headers: dict[str, str] = {}
    spans.inject(call.span_id, headers)
    assert headers == {}
    with pytest.raises(SettingsError, match="otel_mode"):
        Spans(sdk.provider, propagate=True)


def test_a_call_that_was_inline_is_made_again_after_a_crash(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    spans = Spans(sdk.provider, mode="inline")
    call = call_with(spans.begin())
    spans.start(call)
    Spans(sdk.provider).make(call, None, Cost())  # what started it is gone
    assert call.span_id is not None
    assert _ids(sdk.span())[1] == int.from_bytes(call.span_id)


def test_a_provider_whose_ids_cannot_be_fixed_starts_spans_at_once(
    sdk: Sdk, call_with: Callable[..., Call]
) -> None:
    class Tracer(trace.Tracer):
        """As of a vendor whose provider is not the SDK's."""

        start_as_current_span = None  # type: ignore[assignment]

        def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
            return sdk.provider.get_tracer("vendor").start_span(*args, **kwargs)

    class Provider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return Tracer()

    spans = Spans(Provider())
    with sdk.provider.get_tracer("app").start_as_current_span("work") as work:
        ids = spans.begin()
    assert spans.make(call_with(ids), None, Cost()) is True
    span = sdk.spans()[1]
    assert ids is not None
    assert _ids(span)[1] == int.from_bytes(ids.span_id)
    assert ids.parent_span_id == work.get_span_context().span_id.to_bytes(8)
    assert span.name == "chat anthropic/claude-sonnet-4.5"


# --- trouble ---


def test_a_broken_processor_costs_neither_call_nor_record(
    sdk: Sdk, call_with: Callable[..., Call], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            raise RuntimeError("processor is broken")

    sdk.provider.add_span_processor(Broken())
    spans = Spans(sdk.provider)
    for _ in range(3):
        with spans.operation("summarise"):
            ids = spans.begin()
        assert ids is not None
        assert spans.make(call_with(ids), None, Cost()) is None
    (record,) = caplog.records
    assert "processor is broken" in record.message


def test_what_never_ends_is_not_kept_for_ever(sdk: Sdk) -> None:
    spans = Spans(sdk.provider)
    for _ in range(25_000):
        spans.begin()
    assert len(spans._contexts) <= 10_000
