"""The CLIENT span of one call: started with the ids that were fixed for it, ended as it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from tachograph.telemetry.attributes import (
    end_attributes,
    end_us,
    error_type,
    events,
    span_name,
    start_attributes,
)
from tachograph.telemetry.span_ids import fixed_ids, links_to, parent_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from tachograph.core.records import Call, Cost, Usage
    from tachograph.telemetry.semconv import Dialect


def start_call_span(
    tracer: Tracer, call: Call, context: Context | None, resend_of_span: bytes | None
) -> Span | None:
    """The span as of the call's start, in the context that it began in; None as that of a call
    whose process is gone. None where the call has no ids, or the tracer lets nobody fix them."""
    if call.trace_id is None or call.span_id is None:
        return None
    generator = fixed_ids(tracer)  # again, since logfire may change what it wraps
    if generator is None:
        return None
    generator.fix(call.trace_id, call.span_id)
    try:
        return tracer.start_span(
            span_name(call),
            _context_of(call) if context is None else context,
            SpanKind.CLIENT,
            start_attributes(call),
            links_to(resend_of_span),
            start_time=call.started_us * 1000,
        )
    finally:
        generator.release()


def name_call_span(span: Span, call: Call) -> None:
    """What was not known yet when a live span began."""
    span.update_name(span_name(call))
    span.set_attributes(start_attributes(call))


def end_call_span(
    span: Span, call: Call, usage: Usage | None, cost: Cost, dialect: Dialect
) -> None:
    """Attributes, events and status of a call that has ended, and its end."""
    span.set_attributes(end_attributes(call, usage, cost, dialect))
    for event in events(call):
        span.add_event(event.name, event.attributes, event.at_us * 1000)
    if error_type(call) is not None:
        span.set_status(Status(StatusCode.ERROR, call.error_message))
    span.end(end_us(call) * 1000)


def _context_of(call: Call) -> Context:
    """Nothing but the parent."""
    if call.trace_id is None or call.parent_span_id is None:
        return Context()
    parent = parent_of(call.trace_id, call.parent_span_id, call.trace_flags, call.tracestate)
    return trace.set_span_in_context(parent, Context())
