"""Each attribute of a span is one of the conventions (or ours), of the right type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tachograph.core.records import Call, Cost, Usage
from tachograph.telemetry import semconv
from tachograph.telemetry.attributes import end_attributes, start_attributes
from tachograph.telemetry.spans import Spans
from tests.telemetry import registries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telemetry.conftest import Sdk

COST_NAMES = frozenset({"gen_ai.usage.cost"})
"""Not of the conventions, but read by backends."""

CALLS: list[dict[str, Any]] = [
    {},
    {"stream": False, "first_token_seconds": None},
    {"outcome": "failed", "http_status": 429, "error_type": "rate_limited", "resend_count": 1},
    {"outcome": "abandoned", "error_type": "cancelled", "finish_reason": None},
    {"temperature": 1, "top_p": 1, "session_id": None, "tags": None, "parameters": None},
]


@pytest.mark.parametrize("changes", CALLS)
@pytest.mark.parametrize("dialect", ["main", "1.42"])
def test_spans_keep_to_the_conventions(
    sdk: Sdk,
    call_with: Callable[..., Call],
    usage: Usage,
    cost: Cost,
    changes: dict[str, Any],
    dialect: semconv.DialectName,
) -> None:
    registry = registries.main() if dialect == "main" else registries.v1_42()
    spans = Spans(sdk.provider, dialect)
    call = call_with(spans.begin(), **changes)
    spans.make(call, usage, cost)
    span = sdk.span()
    said = dict(span.attributes or {})
    assert registry.wrong(said, COST_NAMES) == []
    # what they ask for on a condition
    assert span.kind is SpanKind.CLIENT
    assert span.name == f"{said['gen_ai.operation.name']} {said['gen_ai.request.model']}"
    assert ("error.type" in said) is (span.status.status_code is StatusCode.ERROR)
    assert ("gen_ai.request.stream" in said) is bool(call.stream)
    assert ("gen_ai.response.time_to_first_chunk" in said) is bool(call.stream)
    assert ("http.request.resend_count" in said) is bool(call.resend_count)
    assert said["server.port"] == 443
    assert said["gen_ai.response.finish_reasons"] == (call.finish_reason or "error",)


@pytest.mark.parametrize("response_format", ["text", "json_object", "json_schema", "grammar", None])
@pytest.mark.parametrize("operation", ["chat", "image_generation", "speech", "rerank"])
def test_what_was_asked_for_is_of_a_known_kind(
    call_with: Callable[..., Call], operation: str, response_format: str | None
) -> None:
    call = call_with(operation_name=operation, response_format=response_format)
    attributes = end_attributes(call, None, Cost(), semconv.MAIN)
    known = registries.main().values["gen_ai.output.type"]
    assert attributes.get("gen_ai.output.type", "text") in known


@pytest.mark.parametrize("dialect", ["main", "1.42"])
def test_spans_of_embeddings_keep_to_the_conventions(
    sdk: Sdk, call_with: Callable[..., Call], dialect: semconv.DialectName
) -> None:
    """They have fewer attributes than an inference; what a request for embeddings cannot have, its
    record has not."""
    spans = Spans(sdk.provider, dialect)
    asked = dict.fromkeys(
        ("stream", "max_tokens", "temperature", "top_p", "reasoning_effort", "response_format")
    )
    answered = dict.fromkeys(("first_token_seconds", "finish_reason", "chunks"))
    call = call_with(
        spans.begin(),
        operation_name="embeddings",
        parameters='{"encoding_format":"base64","dimensions":256}',
        **asked,
        **answered,
    )
    spans.make(call, Usage(input_tokens=7), Cost())
    also = frozenset({"gen_ai.response.id", "gen_ai.conversation.id"})
    registry = registries.v1_42("embeddings")
    assert registry.wrong(dict(sdk.span().attributes or {}), COST_NAMES | also) == []


def test_the_span_of_an_operation_uses_known_names(sdk: Sdk) -> None:
    with Spans(sdk.provider).operation("plan", session="s-1", tags='{"team":"fleet"}'):
        pass
    span = sdk.span()
    assert span.kind is SpanKind.INTERNAL
    faults = registries.main().wrong(dict(span.attributes or {}))
    assert sorted(faults) == [
        f"gen_ai.{name} is missing" for name in ("operation.name", "provider.name")
    ]


def test_no_name_of_ours_is_also_a_namespace() -> None:
    """Backends that nest names (Phoenix) would lose one of the two."""
    names = sorted(
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str) and "." in value
    )
    inner = [n for n in names if any(other.startswith(f"{n}.") for other in names)]
    assert inner == []


def test_embeddings_have_attributes_of_their_own(
    call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    call = call_with(
        operation_name="embeddings",
        parameters='{"encoding_format":"base64","dimensions":256,"n":1}',
    )
    attributes = end_attributes(call, usage, cost, semconv.MAIN)
    assert attributes["gen_ai.request.encoding_formats"] == ["base64"]
    assert attributes["gen_ai.embeddings.dimension.count"] == 256
    assert "gen_ai.request.choice.count" not in attributes


def test_samplers_get_those_that_are_relevant_to_sampling(call_with: Callable[..., Call]) -> None:
    given = start_attributes(call_with()).keys()
    assert given == registries.main().at_start
    assert given == registries.v1_42().at_start


def test_the_dialects_differ_in_the_names_of_a_cache_write(
    call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    one = end_attributes(call_with(), usage, cost, semconv.MAIN)
    other = end_attributes(call_with(), usage, cost, semconv.V1_42)
    assert one["gen_ai.usage.cache_write.input_tokens"] == 100
    assert other["gen_ai.usage.cache_creation.input_tokens"] == 100
