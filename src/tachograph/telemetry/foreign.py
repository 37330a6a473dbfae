"""Another instrumentation's span of the same call: told from the app's own, and enriched.

OpenTelemetry's GenAI instrumentation of openai, pydantic-ai and logfire each have a live CLIENT
span with `gen_ai.operation.name` around the request. A second span beside it would count the call
twice, so that span gets our attributes instead.
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
    from opentelemetry.trace import Span

    from tachograph.core.records import Call, Cost, Usage
    from tachograph.telemetry.semconv import Dialect

# of all that happens under `gen_ai.operation.name`, what is no call of a model
_NO_CALLS = frozenset(
    {"create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "plan", "retrieval"}
)


def is_the_call(span: Span) -> bool:
    """Whether this live span of somebody else claims to be the call that begins under it."""
    if getattr(span, "kind", None) is not SpanKind.CLIENT or not span.is_recording():
        return False
    attributes: Any = getattr(span, "attributes", None) or {}
    operation = attributes.get(names.GEN_AI_OPERATION_NAME)
    return operation is not None and operation not in _NO_CALLS


def enrich(span: Span, call: Call, usage: Usage | None, cost: Cost, dialect: Dialect) -> None:
    """Our attributes on the span of another instrumentation, which judges errors itself.

    It may cover several sendings of a request: the attributes are of the last, and each that
    failed is an event.
    """
    span.set_attribute(names.GEN_AI_PROVIDER_NAME, names.PROVIDER)
    for name, value in end_attributes(call, usage, cost, dialect).items():
        if name.startswith("openrouter.") or name == names.GEN_AI_USAGE_COST:
            span.set_attribute(name, value)
    for event in (first_token(call), _failure(call)):
        if event is not None:
            span.add_event(event.name, event.attributes, event.at_us * 1000)


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
