"""One CLIENT span a call: its ids fixed on the caller's thread, itself made on the writer's.

`Spans.begin` costs the caller two or three microseconds; sampling, attributes and export are the
writer's. The span goes to the provider that the app has set, or to the one that was given. No
failure of a provider, a sampler or a processor reaches the call or its record.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tachograph.core.pricing import settle
from tachograph.core.trace_flags import is_foreign
from tachograph.core.troubles import Troubles
from tachograph.errors import SettingsError, TachographError
from tachograph.telemetry import semconv
from tachograph.telemetry.app import App
from tachograph.telemetry.call_span import end_call_span, name_call_span, start_call_span
from tachograph.telemetry.foreign import enrich, is_the_call
from tachograph.telemetry.messages import content_attributes, content_goes_on_spans
from tachograph.telemetry.operation_span import operation_span
from tachograph.telemetry.span_ids import SpanIds, ids_of, links_to, new_ids, parent_of
from tachograph.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer, TracerProvider

    from tachograph.core.records import Call, Cost, OperationSpan, Usage

OtelMode = Literal["deferred", "inline"]
OnForeignSpan = Literal["enrich", "own"]

_MOST_OPEN = 10_000
"""Calls whose context is kept. Those that were dropped never come for theirs."""


class Spans:
    """The spans of calls; without a provider, given or global, there are none.

    An app may set its provider at any time before a call: it is looked up at each.

    `mode="inline"` has the span live and current while the call runs, for `start` and `current`
    around the transport. `on_foreign_span` says what becomes of a call under a live span of
    another instrumentation that stands for the same call: that span gets our attributes
    ("enrich"), or ours is made beneath it ("own"). `propagate` lets `inject` name the span in the
    request. Raises SettingsError for that without inline mode.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        dialect: semconv.DialectName = "main",
        *,
        mode: OtelMode = "deferred",
        on_foreign_span: OnForeignSpan = "enrich",
        propagate: bool = False,
    ) -> None:
        self.inline = mode == "inline"
        if propagate and not self.inline:
            raise SettingsError('propagate=True needs spans that are live: otel_mode="inline"')
        self._propagate = propagate
        self._tracing = Tracing(tracer_provider)
        self._dialect = semconv.DIALECTS[dialect]
        self._enrich = on_foreign_span == "enrich"
        self._content = content_goes_on_spans()
        self._contexts: dict[bytes, Context] = {}  # by span id, from begin to make
        self._live: dict[bytes, Span] = {}  # by span id, those that are started already
        self._foreign: WeakValueDictionary[bytes, Span] = WeakValueDictionary()  # those of others
        self._troubled = Troubles("a span could not be made")

    @property
    def app(self) -> App:
        """The app as the resource of the provider names it."""
        try:
            return self._tracing.now().app
        except Exception as exc:
            self._troubled(exc)
            return App()

    # --- the caller's thread ---

    def begin(self, resend_of_span: bytes | None = None) -> SpanIds | None:
        """The ids of the span of a call that begins now, in the caller's context; None where
        nobody makes spans. `resend_of_span`: `SpanIds.sending` of the sending that this repeats."""
        try:
            return self._begin(resend_of_span)
        except Exception as exc:
            self._troubled(exc)
            return None

    def start(self, call: Call, resend_of_span: bytes | None = None) -> None:
        """Inline mode: the span of a call that begins now, from what is known of it already."""
        if call.span_id is None or call.span_id in self._live or is_foreign(call.trace_flags):
            return
        try:
            span = self._start(call, resend_of_span)
        except Exception as exc:
            self._troubled(exc)
            return
        if span is not None:
            _keep(self._live, call.span_id, span)

    @contextmanager
    def current(self, span_id: bytes | None) -> Iterator[None]:
        """Inline mode: the started span is the current one inside, so that what the transport
        does is beneath it."""
        span = None if span_id is None else self._live.get(span_id)
        if span is None:
            yield
            return
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            yield
        finally:
            otel_context.detach(token)

    def inject(self, span_id: bytes | None, headers: MutableMapping[str, str]) -> None:
        """Inline mode, where `propagate` was asked for: `traceparent` and `tracestate` of the
        started span, or of the foreign one that stands for it; no baggage."""
        if not self._propagate:
            return
        try:
            span = None if span_id is None else self._live.get(span_id)
            context = None if span is None else trace.set_span_in_context(span)
            TraceContextTextMapPropagator().inject(headers, context)
        except Exception as exc:
            self._troubled(exc)

    def enrich(self, call: Call, usage: Usage | None) -> Call:
        """A call of which `is_foreign(call.trace_flags)` has ended: the span that stands for it
        gets our attributes, now, since its owner ends it soon. The call as it is to be recorded.

        Where that span has ended before the call did (logfire's of a stream), it was not the
        call's: ours is made beneath it.
        """
        try:
            if call.trace_id is None or call.span_id is None:
                return call
            span = self._foreign.get(call.span_id)
            if span is not None and span.is_recording():
                enrich(span, call, usage, settle(usage, None), self._dialect)
                return call
            generator = self._tracing.now().ids
            if generator is None:
                return call
            above = parent_of(call.trace_id, call.span_id, call.trace_flags, None)
            own = new_ids(generator, above.get_span_context(), None)
            return msgspec.structs.replace(call, **msgspec.structs.asdict(own))
        except Exception as exc:
            self._troubled(exc)
            return call

    def operation(
        self,
        name: str | None,
        *,
        session: str | None = None,
        tags: str | None = None,
        ended: Callable[[OperationSpan], object] | None = None,
    ) -> AbstractContextManager[None]:
        """An INTERNAL span that is current inside, so that calls made there are its children.

        `tags` is a JSON object, as in `Call`. `ended` is told what a sampled one was.
        """
        try:
            tracer = self._tracing.now().tracer
            return operation_span(tracer, name, session, tags, ended, self._troubled)
        except Exception as exc:
            self._troubled(exc)
            return nullcontext()

    # --- the writer's thread ---

    def make(
        self, call: Call, usage: Usage | None, cost: Cost, resend_of_span: bytes | None = None
    ) -> bool | None:
        """The span of a call that has ended; whether it was sampled.

        None where the call has no ids, or where nobody makes spans (any more). `resend_of_span` is
        what `begin` was given.
        """
        if call.span_id is None:
            return None
        if is_foreign(call.trace_flags):
            return bool((call.trace_flags or 0) & 1)
        try:
            span = self._live.pop(call.span_id, None)
            if span is not None:
                name_call_span(span, call)
            else:
                span = self._start(call, resend_of_span)
                if span is None:
                    return None
            if span.is_recording():
                if self._content:
                    self._add_content(span, call)
                end_call_span(span, call, usage, cost, self._dialect)
            return span.get_span_context().trace_flags.sampled
        except Exception as exc:
            self._troubled(exc)
            return None

    # --- inside ---

    def _begin(self, resend_of_span: bytes | None) -> SpanIds | None:
        _, tracer, generator, *_ = self._tracing.now()
        if tracer is None:
            return None
        context = otel_context.get_current()
        span = trace.get_current_span(context)
        parent = span.get_span_context()
        if self._enrich and parent.is_valid and is_the_call(span):
            ids = ids_of(span, foreign=True)
            self._foreign[ids.span_id] = span
            return ids
        if generator is None:
            return self._begin_live(tracer, context, resend_of_span)
        ids = new_ids(generator, parent, resend_of_span)
        # the sampler and the processors are to see what they would have seen here: baggage
        _keep(self._contexts, ids.span_id, context)
        return ids

    def _begin_live(
        self, tracer: Tracer, context: Context, resend_of_span: bytes | None
    ) -> SpanIds:
        span = tracer.start_span(
            semconv.PROVIDER, context, SpanKind.CLIENT, links=links_to(resend_of_span)
        )
        ids = ids_of(span, foreign=False)
        _keep(self._live, ids.span_id, span)
        return ids

    def _start(self, call: Call, resend_of_span: bytes | None) -> Span | None:
        tracer = self._tracing.now().tracer
        if tracer is None or call.span_id is None:
            return None
        context = self._contexts.pop(call.span_id, None)
        return start_call_span(tracer, call, context, resend_of_span)

    def _add_content(self, span: Span, call: Call) -> None:
        try:
            span.set_attributes(content_attributes(call))
        except TachographError as exc:
            self._troubled(exc)


def _keep(kept: dict[bytes, Any], span_id: bytes, value: Any) -> None:
    if len(kept) >= _MOST_OPEN:
        kept.clear()
    kept[span_id] = value
