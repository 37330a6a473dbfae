"""One call while it runs: clocks and bytes in, one Call out, exactly once.

Nothing here raises into the caller's call: what goes wrong is handed to the recorder, which logs
and counts it.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from tachograph.content import Overheard
from tachograph.core.capture import Capture
from tachograph.core.headers import RETRY_AFTER, Wanted, retry_after_seconds
from tachograph.core.records import Call, Outcome
from tachograph.openrouter.failures import Failure
from tachograph.openrouter.readers import reader_for
from tachograph.openrouter.text import fit
from tachograph.operation import Place, note_failure
from tachograph.verdict import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.content import ContentCapture
    from tachograph.core.records import Content
    from tachograph.jobs import JobCall
    from tachograph.openrouter.endpoints import Dialect

_HEADERS = Wanted(
    b"content-type",
    b"content-encoding",
    b"x-generation-id",
    b"x-provider-name",
    b"x-openrouter-cache-status",
    *RETRY_AFTER,
)
_ID = Call.__struct_fields__.index("id")
_STREAM = Call.__struct_fields__.index("stream")
_SECOND = 1_000_000_000
_INTERRUPTED = tuple(
    {"outcome": "abandoned", "error_type": "interrupted"}.get(name)
    for name in Call.__struct_fields__[
        Call.__struct_fields__.index("latency_seconds") : Call.__struct_fields__.index("trace_id")
    ]
)
"""The course, the end and the answer of a call that has only begun."""


class Sink(Protocol):
    """Takes calls that ended, and troubles of the recording itself."""

    def ended(self, live: Live, call: Call) -> None: ...

    def dropped(self, live: Live) -> None: ...

    def claim(self, live: Live) -> bool: ...

    def troubled(self, exc: Exception) -> None: ...


class Live:
    """A call that has begun. The shell tells it what happens; the first end counts."""

    consumer_ns: int = 0
    """What the reader held pieces for; the shell adds to it."""
    _status: int | None = None
    _headers_ns: int | None = None
    _exhausted: bool = False
    _ended: bool = False
    _failure_noted: bool = False
    _retry_after_seconds: float | None = None
    _content_type: str = ""
    _overheard: Overheard | None = None

    def __init__(
        self,
        sink: Sink,
        request: Any,
        body: bytes | None,
        place: Place,
        dialect: Dialect,
        job: JobCall | None,
        begun: tuple[Any, ...],
        trace: tuple[Any, ...],
        started_ns: int,
    ) -> None:
        """`begun` are the fields of `Call` up to `started_us`, `trace` those of its span: what is
        known when the call begins."""
        self._sink = sink
        self.request = request
        self._body = body
        self._place = place
        self._job = job
        self._begun = begun
        self._trace = trace
        self._started_ns = self._last_ns = started_ns
        self._headers: dict[bytes, bytes] = {}
        self._answer = reader_for(dialect)
        self._capture = Capture(self._answer)

    @property
    def place(self) -> Place:
        return self._place

    @property
    def streams(self) -> bool:
        """An event stream was asked for."""
        return bool(self._begun[_STREAM])

    @property
    def span_id(self) -> bytes | None:
        span_id: bytes | None = self._trace[1]
        return span_id

    # --- what the shell tells, in this order ---

    def head(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], *, decoded: bool = False
    ) -> None:
        """The response's head has come; `decoded` when its body will come with codings undone."""
        try:
            self._headers_ns = self._last_ns = perf_counter_ns()
            self._status = status
            self._headers = named = _HEADERS.among(headers)
            get = named.get
            self._content_type = get(b"content-type", b"").decode("latin-1")
            self._capture.head(
                self._content_type,
                "" if decoded else get(b"content-encoding", b"").decode("latin-1"),
            )
            if status != 200:
                self._retry_after_seconds = retry_after_seconds(named)
            if status >= 400:
                self._note_failure()
        except Exception as exc:
            self._sink.troubled(exc)

    def feed(self, piece: bytes) -> int:
        """A piece of the body, as it came over the wire; gives the time of its arrival."""
        now = perf_counter_ns()
        self._last_ns = now
        try:
            self._capture.feed(piece, now)
        except Exception as exc:
            self._sink.troubled(exc)
        return now

    def exhausted(self) -> None:
        """The body was read to its end."""
        self._exhausted = True
        self._end(self._last_ns, None, None)

    def failed(self, exc: BaseException) -> None:
        """The transport raised; or the task was cancelled while it worked."""
        self._end(perf_counter_ns(), exc, "cancelled")

    def closed(self) -> None:
        """The response was closed, perhaps before its end."""
        self._end(perf_counter_ns(), None, None)

    def dropped(self) -> None:
        """The response was garbage-collected. Safe in a destructor: it is ended elsewhere."""
        self._sink.dropped(self)

    def troubled(self, exc: Exception) -> None:
        """The recording of this call failed; the call goes on."""
        self._sink.troubled(exc)

    # --- what the recorder tells ---

    def end_dropped(self) -> None:
        """Ends a call whose response was garbage-collected."""
        self._end(self._last_ns, None, "dropped")

    def interrupt(self) -> None:
        """The process ends while the call runs."""
        self._end(None, None, "interrupted")

    def overhear(self, capture: ContentCapture) -> None:
        """Keeps content as well, as far as this lets it."""
        self._capture.reader = self._overheard = Overheard(self._answer, capture)

    def begun(self) -> Call:
        """The record of a call of which nothing more will be known if the process dies."""
        fields = (*self._begun, *_INTERRUPTED, *self._trace, None, self._place.resend_of)
        return Call(*fields)

    # --- the end ---

    def _end(self, at_ns: int | None, exc: BaseException | None, how: str | None) -> None:
        if self._ended or not self._sink.claim(self):
            return
        self._ended = True  # most calls are told twice: read to their end, then closed
        try:
            self._capture.finish()
            outcome, failure = outcome_of(
                self.request, self._status, self._capture, self._answer, exc, how, self._exhausted
            )
            if outcome == "failed":
                self._note_failure()
            if self._job is not None:
                self._job.ended(self._answer)
            if exc is None and outcome != "abandoned":
                at_ns = self._last_ns
            self._sink.ended(self, self._call(outcome, failure, at_ns, self._content()))
        except Exception as trouble:
            self._sink.troubled(trouble)

    def _note_failure(self) -> None:
        if not self._failure_noted:
            self._failure_noted = True
            trace_id, span_id = self._trace[:2]
            span = trace_id + span_id if trace_id and span_id else None
            note_failure(self.request, self._body, self._begun[_ID], self._place, span)

    def _content(self) -> Content | None:
        if self._overheard is None:
            return None
        try:
            size = self._capture.response_bytes
            medium = f"[{self._content_type}, {size} bytes]" if self._capture.binary else None
            return self._overheard.content(self._body, medium)
        except Exception as exc:
            self._sink.troubled(exc)
            return None

    def _call(
        self,
        outcome: Outcome,
        failure: Failure | None,
        at_ns: int | None,
        content: Content | None = None,
    ) -> Call:
        answer, capture, header = self._answer, self._capture, self._headers.get
        fields = (
            *self._begun,
            None if at_ns is None else (at_ns - self._started_ns) / _SECOND,
            self._since_start(self._headers_ns),
            self._since_start(capture.first_token_ns),
            self.consumer_ns / _SECOND if self.consumer_ns else None,
            outcome,
            self._status,
            failure.error_type if failure else None,
            failure.error_code if failure else None,
            failure.error_message if failure else None,
            self._retry_after_seconds,
            answer.chunks if capture.streamed else None,
            capture.response_bytes if self._headers_ns is not None else None,
            answer.response_model,
            answer.provider or _text(header(b"x-provider-name")),
            answer.generation_id or _text(header(b"x-generation-id")),
            answer.finish_reason,
            answer.native_finish_reason,
            answer.service_tier,
            _text(header(b"x-openrouter-cache-status")),
            None if answer.routing is None else answer.routing.decode("utf-8", "replace"),
            answer.usage,
            *self._trace,
            content,
            self._place.resend_of,
            answer.job_id,
        )
        return Call(*fields)  # by position: by keywords it takes nine times as long

    def _since_start(self, at_ns: int | None) -> float | None:
        return None if at_ns is None else (at_ns - self._started_ns) / _SECOND


def _text(header: bytes | None) -> str | None:
    return None if not header else fit(header.decode("latin-1"))[:256]
