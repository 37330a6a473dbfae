"""One CLIENT span a call: its ids fixed on the caller's thread, itself made on the writer's.

`Spans.begin` costs the caller about a microsecond; sampling, attributes and export are the
writer's. The span goes to the provider that the app has set, or to the one that was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, ProxyTracerProvider, SpanKind, Status, StatusCode

from tachograph import __version__
from tachograph.telemetry import semconv
from tachograph.telemetry.attributes import (
    end_attributes,
    end_us,
    error_type,
    events,
    span_name,
    start_attributes,
)
from tachograph.telemetry.span_ids import FixedIds, SpanIds, fixed_ids, new_ids, parent_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from tachograph.core.records import Call, Cost, Usage


class _Bound(NamedTuple):
    """A provider, and what it gave us."""

    provider: TracerProvider
    tracer: Tracer | None
    """None where the provider makes no spans."""
    ids: FixedIds | None


class Spans:
    """The spans of calls; without a provider, of the given or of the global one, there are none.

    An app may set its provider at any time before a call: it is looked up at each.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        dialect: semconv.DialectName = "main",
    ) -> None:
        self._given = tracer_provider
        self._dialect = semconv.DIALECTS[dialect]
        self._bound: _Bound | None = None

    def begin(self) -> SpanIds | None:
        """The ids of the span of a call that begins now, in the caller's context; None where
        nobody makes spans."""
        bound = self._bind()
        return None if bound.ids is None else new_ids(bound.ids)

    def make(self, call: Call, usage: Usage | None, cost: Cost) -> bool | None:
        """The span of a call that has ended; whether it was sampled.

        None where the call has no ids, or where nobody makes spans (any more).
        """
        tracer, ids = self._bind()[1:]
        if call.trace_id is None or call.span_id is None or tracer is None or ids is None:
            return None
        context = Context()
        if call.parent_span_id is not None:
            parent = parent_span(
                call.trace_id, call.parent_span_id, call.trace_flags, call.tracestate
            )
            context = trace.set_span_in_context(parent, context)
        ids.fix(call.trace_id, call.span_id)
        try:
            span = tracer.start_span(
                span_name(call),
                context,
                SpanKind.CLIENT,
                start_attributes(call),
                start_time=call.started_us * 1000,
            )
        finally:
            ids.release()
        if span.is_recording():
            self._finish(span, call, usage, cost)
        return span.get_span_context().trace_flags.sampled

    def _finish(self, span: Span, call: Call, usage: Usage | None, cost: Cost) -> None:
        span.set_attributes(end_attributes(call, usage, cost, self._dialect))
        for event in events(call):
            span.add_event(event.name, event.attributes, event.at_us * 1000)
        if error_type(call) is not None:
            span.set_status(Status(StatusCode.ERROR, call.error_message))
        span.end(end_us(call) * 1000)

    def _bind(self) -> _Bound:
        provider = self._given or trace.get_tracer_provider()
        bound = self._bound
        if bound is None or bound.provider is not provider:
            # two threads may do this at once: they find the same
            self._bound = bound = _bind(provider)
        return bound


def _bind(provider: TracerProvider) -> _Bound:
    # the API's stand-in for a provider that nobody has set yet
    if isinstance(provider, ProxyTracerProvider):
        return _Bound(provider, None, None)
    tracer = provider.get_tracer(semconv.SCOPE, __version__)
    if isinstance(tracer, NoOpTracer):
        return _Bound(provider, None, None)
    return _Bound(provider, tracer, fixed_ids(tracer))
