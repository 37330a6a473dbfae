"""Each attribute of a span is one of the conventions (or ours), of the right type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
    spans.make(call_with(spans.begin(), **changes), usage, cost)
    assert registry.wrong(dict(sdk.span().attributes or {}), COST_NAMES) == []


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
