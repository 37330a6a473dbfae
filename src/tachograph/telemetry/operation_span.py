"""The INTERNAL span of an operation, from its entry to its exit, above the calls made inside."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from time import time_ns
from typing import TYPE_CHECKING

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from tachograph.core.ids import uuid7
from tachograph.core.records import OperationSpan
from tachograph.telemetry import semconv
from tachograph.telemetry.attributes import operation_attributes
from tachograph.telemetry.span_ids import REMADE_FLAGS, fixed_ids, ids_of, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer

    Ended = Callable[[OperationSpan], object]


def operation_span(
    tracer: Tracer | None,
    name: str | None,
    session: str | None,
    tags: str | None,
    ended: Ended | None,
    troubled: Callable[[Exception], object],
) -> AbstractContextManager[None]:
    """Starts the span now; entering makes it current, leaving ends it and tells `ended` what it
    was, where it is sampled. Nothing without a tracer. What goes wrong at its end, `troubled` is
    told instead of the caller."""
    if tracer is None:
        return nullcontext()
    started_us = time_ns() // 1000
    span = _start(tracer, name, session, tags, started_us)
    return _current(span, _kept(span, started_us, name, session, tags), ended, troubled)


def operation_span_again(tracer: Tracer, kept: OperationSpan) -> None:
    """The span that was told to `ended`, as it was, made by a tracer of the SDK."""
    context = Context()
    if kept.parent_span_id is not None:
        parent = parent_of(kept.trace_id, kept.parent_span_id, REMADE_FLAGS, None)
        context = trace.set_span_in_context(parent, context)
    generator = fixed_ids(tracer)
    assert generator is not None
    generator.fix(kept.trace_id, kept.span_id)
    try:
        span = _start(tracer, kept.name, kept.session_id, kept.tags, kept.started_us, context)
    finally:
        generator.release()
    _end(span, kept.ended_us, kept.error_type)


def _start(
    tracer: Tracer,
    name: str | None,
    session: str | None,
    tags: str | None,
    started_us: int,
    context: Context | None = None,
) -> Span:
    attributes = operation_attributes(name, session, tags)
    return tracer.start_span(
        name or "operation", context, attributes=attributes, start_time=started_us * 1000
    )


@contextmanager
def _current(
    span: Span,
    kept: OperationSpan | None,
    ended: Ended | None,
    troubled: Callable[[Exception], object],
) -> Iterator[None]:
    failure = None
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except Exception as exc:
        # by its class alone: the message of an SDK's error may hold a piece of a prompt
        failure = type(exc).__qualname__
        raise
    finally:
        ended_us = time_ns() // 1000
        try:
            _end(span, ended_us, failure)
            if kept is not None and ended is not None:
                ended(replace(kept, ended_us=ended_us, error_type=failure))
        except Exception as exc:
            troubled(exc)


def _kept(
    span: Span, started_us: int, name: str | None, session: str | None, tags: str | None
) -> OperationSpan | None:
    if not span.is_recording():
        return None
    ids = ids_of(span, foreign=False)
    return OperationSpan(
        id=uuid7(started_us),
        operation_id=None,
        name=name,
        session_id=session,
        tags=tags,
        service_name=None,
        environment=None,
        started_us=started_us,
        ended_us=started_us,
        error_type=None,
        trace_id=ids.trace_id,
        span_id=ids.span_id,
        parent_span_id=ids.parent_span_id,
    )


def _end(span: Span, ended_us: int, failure: str | None) -> None:
    if failure is not None:
        span.set_attribute(semconv.ERROR_TYPE, failure)
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended_us * 1000)
