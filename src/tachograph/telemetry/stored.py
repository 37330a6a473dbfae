"""Stored calls and operations -> their spans again, for a collector that was down or is new.

Ids, parents, times and attributes are those of the first time, so a backend that keeps one span an
id has each once, however often it is sent. Calls that were recorded without a tracer get ids that
follow from their own; those of one operation share a trace.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from tachograph.core.records import Call, Cost, OperationSpan, Usage
from tachograph.errors import TachographError
from tachograph.telemetry import semconv
from tachograph.telemetry.operation_span import operation_span_again
from tachograph.telemetry.resource import app_resource
from tachograph.telemetry.span_ids import REMADE_FLAGS
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from opentelemetry.trace import Tracer

BATCH = 512
"""Spans a request."""

_REMEMBERED = 100_000

_K = TypeVar("_K")
_V = TypeVar("_V")


class StoredCall(NamedTuple):
    call: Call
    usage: Usage
    cost: Cost


def stored_call(row: Mapping[str, Any]) -> StoredCall:
    """The records of one row of a frame of calls, under the names and in the types of the frame."""
    call = {name: row[name] for name in _OF_CALL}
    usage = {name: row[name] for name in Usage.__struct_fields__}
    cost = {name: row[name] for name in Cost.__struct_fields__}
    parent = _hex(row["parent_span_id"])
    return StoredCall(
        Call(
            **call,
            id=UUID(row["id"]).bytes,
            operation_id=UUID(row["operation_id"]).bytes,
            resend_of=None if row["resend_of"] is None else UUID(row["resend_of"]).bytes,
            started_us=_microseconds(row["started_at"]),
            usage=None,
            trace_id=_hex(row["trace_id"]),
            span_id=_hex(row["span_id"]),
            parent_span_id=parent,
            trace_flags=None if parent is None else REMADE_FLAGS,
            tracestate=None,
        ),
        Usage(**usage),
        Cost(**cost),
    )


class StoredSpans:
    """Sends the spans of stored calls through an exporter, which it closes at its end.

    Give calls in the order of their ids: a re-sending is linked to the sending before it. Where
    that one is not among them, `find` is asked for the call of this id.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        dialect: semconv.DialectName = "main",
        *,
        find: Callable[[bytes], StoredCall | None] = lambda _: None,
    ) -> None:
        self._exporter = exporter
        self._dialect = dialect
        self._find = find
        self._made: list[ReadableSpan] = []
        self._apps: dict[tuple[str | None, str | None], tuple[Tracer, Spans]] = {}
        self._seen: dict[bytes, None] = {}
        self._span_of: dict[bytes, bytes] = {}

    def send(self, stored: Iterable[StoredCall | OperationSpan]) -> Iterator[int]:
        """Sends them, and tells after each request how many it held. Raises TachographError when
        the collector does not take them; to send all again does no harm."""
        for one in stored:
            if isinstance(one, OperationSpan):
                operation_span_again(self._app(one.service_name, one.environment)[0], one)
            else:
                self._make(one)
            if len(self._made) >= BATCH:
                yield self._export()
        if self._made:
            yield self._export()

    def close(self) -> None:
        self._exporter.shutdown()

    def __enter__(self) -> StoredSpans:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self, stored: StoredCall) -> None:
        call = self._with_ids(stored.call)
        assert call.trace_id is not None
        assert call.span_id is not None
        _remember(self._span_of, call.id, call.trace_id + call.span_id)
        resend_of_span = None if call.resend_of is None else self._earlier(call.resend_of)
        _, spans = self._app(call.service_name, call.environment)
        spans.make(call, stored.usage, stored.cost, resend_of_span)

    def _earlier(self, call_id: bytes) -> bytes | None:
        """Trace id and span id of the sending before."""
        if call_id not in self._span_of:
            found = self._find(call_id)
            if found is None:
                return None
            call = self._with_ids(found.call)
            assert call.trace_id is not None
            assert call.span_id is not None
            _remember(self._span_of, call_id, call.trace_id + call.span_id)
        return self._span_of[call_id]

    def _with_ids(self, call: Call) -> Call:
        if call.trace_id is None or call.span_id is None:
            trace_id = blake2b(call.operation_id, digest_size=16).digest()
            return msgspec.structs.replace(call, trace_id=trace_id, span_id=_span_id(call))
        if call.span_id in self._seen:
            # another instrumentation's span stood for several sendings
            return msgspec.structs.replace(
                call,
                span_id=_span_id(call),
                parent_span_id=call.span_id,
                trace_flags=REMADE_FLAGS,
            )
        _remember(self._seen, call.span_id, None)
        return call

    def _app(self, service_name: str | None, environment: str | None) -> tuple[Tracer, Spans]:
        app = (service_name, environment)
        if app not in self._apps:
            attributes = {semconv.SERVICE_NAME: service_name, semconv.ENVIRONMENT: environment}
            provider = TracerProvider(
                ALWAYS_ON,
                app_resource({name: said for name, said in attributes.items() if said}),
                shutdown_on_exit=False,
            )
            provider.add_span_processor(_Gathering(self._made))
            tracer = provider.get_tracer(semconv.SCOPE, semconv.scope_version())
            self._apps[app] = tracer, Spans(provider, self._dialect)
        return self._apps[app]

    def _export(self) -> int:
        batch, self._made[:] = self._made[:], []
        if self._exporter.export(batch) is not SpanExportResult.SUCCESS:
            raise TachographError(
                f"the collector did not take {len(batch)} spans; the log says why. "
                "What was sent before is there, and to send it again does no harm."
            )
        return len(batch)


class _Gathering(SpanProcessor):
    def __init__(self, made: list[ReadableSpan]) -> None:
        self._made = made

    def on_end(self, span: ReadableSpan) -> None:
        self._made.append(span)


_OTHERWISE = frozenset(
    {
        "id",
        "operation_id",
        "started_us",
        "usage",
        "trace_id",
        "span_id",
        "parent_span_id",
        "trace_flags",
        "tracestate",
        "resend_of",
        "resend_of_span",
        "content",
    }
)
_OF_CALL = tuple(name for name in Call.__struct_fields__ if name not in _OTHERWISE)
"""Fields that stand in a row under their own name and in their own type."""


def _remember(known: dict[_K, _V], key: _K, value: _V) -> None:
    """Forgets what is long ago: calls of one request are near each other."""
    known[key] = value
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]


def _span_id(call: Call) -> bytes:
    return blake2b(call.id, digest_size=8).digest()


def _hex(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def _microseconds(at: datetime) -> int:
    # not by timestamp(), whose float is not exact to the microsecond
    return int(at.timestamp()) * 1_000_000 + at.microsecond
