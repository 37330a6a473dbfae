"""The INTERNAL span of an operation, from its entry to its exit, above the calls made inside."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from tachograph.telemetry import semconv
from tachograph.telemetry.attributes import operation_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer


def operation_span(
    tracer: Tracer | None, name: str | None, session: str | None, tags: str | None
) -> AbstractContextManager[None]:
    """Starts the span now; entering makes it current, leaving ends it. Nothing without a tracer."""
    if tracer is None:
        return nullcontext()
    attributes = operation_attributes(name, session, tags)
    return _current(tracer.start_span(name or "operation", attributes=attributes))


@contextmanager
def _current(span: Span) -> Iterator[None]:
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except Exception as exc:
            # by its class alone: the message of an SDK's error may hold a piece of a prompt
            span.set_attribute(semconv.ERROR_TYPE, type(exc).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise
