"""Another instrumentation's span of the same call: told from the app's own, and enriched.

OpenTelemetry's GenAI instrumentation of openai, OpenLLMetry's, pydantic-ai and logfire each have a
live CLIENT span with `gen_ai.operation.name` around the request; OpenInference has an INTERNAL one
of a kind of its own. A second span beside it would count the call twice, so that span gets our
attributes instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from tachograph.telemetry import semconv as names
from tachograph.telemetry.attributes import (
    Event,
    end_attributes,
    end_us,
    error_type,
    first_token,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from tachograph.core.records import Call, Cost, Usage
    from tachograph.telemetry.semconv import Dialect

# of all that happens under `gen_ai.operation.name`, what is no call of a model
_NO_CALLS = frozenset(
    {"create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "plan", "retrieval"}
)
_OPENINFERENCE_CALLS = frozenset({"LLM", "EMBEDDING", "RERANKER"})


def is_the_call(span: Span) -> bool:
    """Whether this live span of somebody else claims to be the call that begins under it."""
    # attributes are looked at last: reading them takes three microseconds of the caller
    if getattr(span, "kind", None) is SpanKind.CLIENT:
        operation = _attributes(span).get(names.GEN_AI_OPERATION_NAME)
        claims = operation is not None and operation not in _NO_CALLS
    elif _is_of_openinference(span):
        claims = _attributes(span).get(names.OPENINFERENCE_KIND) in _OPENINFERENCE_CALLS
    else:
        return False
    return claims and span.is_recording()


def enrich(span: Span, call: Call, usage: Usage | None, cost: Cost, dialect: Dialect) -> None:
    """Our attributes on the span of another instrumentation, which judges errors itself.

    It may cover several sendings of a request: the attributes are of the last, and each that
    failed is an event.
    """
    if not _is_of_openinference(span):  # which has other names for the rest
        span.set_attribute(names.GEN_AI_PROVIDER_NAME, names.PROVIDER)
    for name, value in end_attributes(call, usage, cost, dialect).items():
        if name.startswith("openrouter.") or name == names.GEN_AI_USAGE_COST:
            span.set_attribute(name, value)
    for event in (first_token(call), _failure(call)):
        if event is not None:
            span.add_event(event.name, event.attributes, event.at_us * 1000)


def _is_of_openinference(span: Span) -> bool:
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and scope.name.startswith("openinference.")


def _attributes(span: Span) -> Mapping[str, Any]:
    """Those of a span of the SDK; the API has no means to read them."""
    return getattr(span, "attributes", None) or {}


def _failure(call: Call) -> Event | None:
    failure = error_type(call)
    if failure is None:
        return None
    attributes: dict[str, Any] = {
        names.ERROR_TYPE: failure,
        names.HTTP_RESEND_COUNT: call.resend_count,
    }
    if call.http_status is not None:
        attributes[names.HTTP_STATUS] = call.http_status
    return Event(names.EVENT_CALL_FAILED, end_us(call), attributes)
