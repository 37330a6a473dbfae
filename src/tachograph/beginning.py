"""What is known of a call when it begins: from its request, its context and the settings."""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple

from tachograph.core.headers import Wanted
from tachograph.core.ids import uuid7
from tachograph.jobs import JobCall, Jobs
from tachograph.live import Live
from tachograph.openrouter.request_facts import RequestFacts
from tachograph.openrouter.requests import read_form, read_request
from tachograph.openrouter.text import fit
from tachograph.operation import Operation, current_operation, place_of
from tachograph.targets import Targets
from tachograph.telemetry.app import App

if TYPE_CHECKING:
    from tachograph.live import Sink
    from tachograph.settings import Settings
    from tachograph.telemetry.spans import Spans


_HEADERS = Wanted(
    b"authorization",
    b"content-length",
    b"user-agent",
    b"x-api-key",
    b"x-session-id",
    b"x-stainless-retry-count",
)


class Beginning:
    """Begins calls; for any thread."""

    def __init__(self, settings: Settings, spans: Spans) -> None:
        self._targets = Targets(settings.base_urls, settings.api_key_salt)
        self._said = self._app = App(settings.service_name, settings.environment)
        self._told: App | None = None
        self._spans = spans
        self._jobs = Jobs()

    @property
    def app(self) -> App:
        """What the environment says of the app, else the resource of its tracer provider."""
        told = self._spans.app
        if told is not self._told:
            said = self._said
            self._app = App(
                said.service_name or told.service_name, said.environment or told.environment
            )
            self._told = told
        return self._app

    def live(self, sink: Sink, request: Any) -> Live | None:
        """The call that this request begins; None when it is not OpenRouter's."""
        target = self._targets.find(request.url)
        if target is None:
            return None
        headers = _HEADERS.among(request.headers.raw)
        body = _body(request)
        facts = read_request(body) if body else _form(request)
        operation = self._jobs.operation(target.job_id) or current_operation.get()
        started_us = time_ns() // 1000
        call_id = uuid7(started_us)
        retries = headers.get(b"x-stainless-retry-count")
        place = place_of(call_id, request, body, retries, operation)
        session = (operation and operation.session_id) or _session(facts, headers)
        user = (operation and operation.user_id) or (facts.user_id if facts else None)
        begun = (
            call_id,
            place.operation_id,
            place.attempt,
            place.resend_count,
            target.operation_name,
            operation.name if operation else None,
            session,
            user,
            operation.tags if operation else None,
            *self.app,
            self._targets.sdk(headers.get(b"user-agent")),
            self._targets.key_hash(headers),
            target.host,
            target.path,
            *(_NO_FACTS if facts is None else facts.as_fields()),
            _length(body, headers),
            started_us,
        )
        job = None
        if target.dialect == "job":
            operation = operation or Operation.begun_at(place, session, user)
            job = JobCall(self._jobs, target.job_id, operation)
        span = self._spans.begin(place.resend_of_span)
        return Live(
            sink,
            request,
            body,
            place,
            target.dialect,
            job,
            begun,
            _NO_SPAN if span is None else (*astuple(span), place.resend_of_span),
            perf_counter_ns(),
        )


def _session(facts: Any, headers: dict[bytes, bytes]) -> str | None:
    if facts is not None and facts.session_id:
        return str(facts.session_id)
    header = headers.get(b"x-session-id")
    return None if header is None else fit(header.decode("latin-1"))[:256]


def _body(request: Any) -> bytes | None:
    """The request's body; None when it is a stream, which only the transport may read."""
    try:
        body: bytes = request.content
    except Exception:  # RequestNotRead, of either family
        return None
    return body


def _form(request: Any) -> RequestFacts | None:
    """The facts of a form with files, whose fields can be seen though its body cannot."""
    fields = getattr(request.stream, "fields", None)
    return (
        None
        if not fields
        else read_form((field.name, field.value) for field in fields if hasattr(field, "value"))
    )


def _length(body: bytes | None, headers: dict[bytes, bytes]) -> int | None:
    if body is not None:
        return len(body)
    stated = headers.get(b"content-length", b"")
    return int(stated) if stated.isdigit() else None


_NO_FACTS = (None,) * 9
_NO_SPAN = (None,) * 6
