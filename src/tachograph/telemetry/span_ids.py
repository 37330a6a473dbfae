"""The ids of a span, fixed when its call begins, and how a tracer is made to use them.

The span itself is made later, on the writer's thread, perhaps by another process after a crash:
ids, parent, flags and tracestate are all that it takes to make the same span.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from opentelemetry.trace import (
    DEFAULT_TRACE_STATE,
    Link,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
)

from tachograph.core.trace_flags import FOREIGN, HAS_IS_REMOTE, IS_REMOTE

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_LOCAL_OR_REMOTE: Final = (HAS_IS_REMOTE, HAS_IS_REMOTE | IS_REMOTE)

REMADE_FLAGS: Final = HAS_IS_REMOTE | TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID
"""`SpanIds.trace_flags` of a stored call with a parent, of which SQL keeps only the id: those of
the usual one, a sampled span of the same process."""

# Not `random` itself: an app may seed it, and then every run of it would make the same ids; and
# drawing from it would change what the app draws.
_random = random.Random()  # noqa: S311
_random_bits = _random.getrandbits
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)

_installing = threading.Lock()


class SpanIds(msgspec.Struct, frozen=True, gc=False):
    """What of a span is fixed when its call begins: fields of `Call`, in its order."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None = None
    trace_flags: int | None = None
    """The parent's, in the form of OTLP's `Span.flags`: W3C flags, above them whether the parent
    belongs to another process. None where the call begins a trace of its own. Of a foreign span,
    its own flags and the mark that it is foreign."""
    tracestate: str | None = None

    @property
    def sending(self) -> bytes:
        """What a re-sending of this call names as `resend_of_span`: trace id and span id."""
        return self.trace_id + self.span_id


class IdGenerator(Protocol):
    """What an SDK's tracer takes its ids from."""

    def generate_span_id(self) -> int: ...
    def generate_trace_id(self) -> int: ...
    def is_trace_id_random(self) -> bool: ...


class FixedIds:
    """Gives out the ids that were fixed for a span, on the thread that fixed them; all else comes
    from the generator that the tracer had before."""

    def __init__(self, before: IdGenerator) -> None:
        # what has a generator is the SDK's, so this loads nothing
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        self._before = before
        self._fixed = threading.local()
        self._any_trace_id = type(before) is RandomIdGenerator

    def fix(self, trace_id: bytes, span_id: bytes) -> None:
        """The spans that this thread starts have these ids, until `release`."""
        self._fixed.ids = (trace_id, span_id)

    def release(self) -> None:
        self._fixed.ids = None

    def generate_span_id(self) -> int:
        ids = getattr(self._fixed, "ids", None)
        return self._before.generate_span_id() if ids is None else int.from_bytes(ids[1])

    def generate_trace_id(self) -> int:
        ids = getattr(self._fixed, "ids", None)
        return self._before.generate_trace_id() if ids is None else int.from_bytes(ids[0])

    def is_trace_id_random(self) -> bool:
        return self._before.is_trace_id_random()

    def new_trace_id(self) -> bytes:
        """A trace id as the app's own spans would have it: some backends prescribe a form."""
        if self._any_trace_id:
            return (_random_bits(128) or 1).to_bytes(16)  # 0 means "no id"
        return self._before.generate_trace_id().to_bytes(16)


def fixed_ids(tracer: Tracer) -> FixedIds | None:
    """The means to fix the ids of a tracer's spans; None where it offers none.

    The SDK keeps a generator on every tracer, so those of others are not touched. A tracer that
    wraps the SDK's (the API's own proxy, logfire's) is looked through.
    """
    inner: Any = tracer
    while not hasattr(inner, "id_generator"):
        inner = getattr(inner, "tracer", None) or getattr(inner, "_tracer", None)
        if inner is None:
            return None
    if not isinstance(inner.id_generator, FixedIds):
        with _installing:
            if not isinstance(inner.id_generator, FixedIds):
                inner.id_generator = FixedIds(inner.id_generator)
    generator: FixedIds = inner.id_generator
    return generator


def new_ids(generator: FixedIds, parent: SpanContext, resend_of_span: bytes | None) -> SpanIds:
    """The ids of a span that begins now; a re-sending without a parent stays in the trace of the
    sending before."""
    span_id = (_random_bits(64) or 1).to_bytes(8)
    if not parent.is_valid:
        return SpanIds(
            generator.new_trace_id() if resend_of_span is None else resend_of_span[:16], span_id
        )
    state = parent.trace_state
    return SpanIds(
        parent.trace_id.to_bytes(16),
        span_id,
        parent.span_id.to_bytes(8),
        parent.trace_flags | _LOCAL_OR_REMOTE[parent.is_remote],
        None if state is DEFAULT_TRACE_STATE else state.to_header() or None,
    )


def ids_of(span: Span, *, foreign: bool) -> SpanIds:
    """The ids of a span that somebody has started already."""
    context = span.get_span_context()
    parent = getattr(span, "parent", None)
    return SpanIds(
        context.trace_id.to_bytes(16),
        context.span_id.to_bytes(8),
        None if parent is None else parent.span_id.to_bytes(8),
        context.trace_flags | FOREIGN if foreign else None,
    )


def parent_of(
    trace_id: bytes, parent_span_id: bytes, trace_flags: int | None, tracestate: str | None
) -> NonRecordingSpan:
    """The parent again, from what was kept of it."""
    flags = trace_flags or 0
    return NonRecordingSpan(
        SpanContext(
            int.from_bytes(trace_id),
            int.from_bytes(parent_span_id),
            is_remote=bool(flags & IS_REMOTE),
            trace_flags=TraceFlags(flags & 0xFF),
            trace_state=TraceState.from_header([tracestate]) if tracestate else None,
        )
    )


def links_to(resend_of_span: bytes | None) -> tuple[Link, ...]:
    """The link of a re-sending to the span of the sending before."""
    if resend_of_span is None:
        return ()
    trace_id, span_id = int.from_bytes(resend_of_span[:16]), int.from_bytes(resend_of_span[16:])
    return (Link(SpanContext(trace_id, span_id, is_remote=False)),)
