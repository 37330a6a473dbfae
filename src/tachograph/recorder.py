"""The recorder: it begins calls, takes them when they have ended, and hands them on.

begin -> Live -> ended: the journal has it (one write), the writer's thread does the rest. No
failure of the recording reaches the caller: it is logged once for each kind, and counted.
"""

from __future__ import annotations

import atexit
import logging
import os
import platform
import threading
from collections import deque
from contextlib import contextmanager
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from msgspec.structs import astuple

from tachograph.core.ids import uuid7
from tachograph.live import Live
from tachograph.openrouter.requests import read_request
from tachograph.openrouter.usage import read_usage
from tachograph.operation import Operation, current_operation, place_of
from tachograph.settings import Settings
from tachograph.store.folder import journal_folder
from tachograph.store.insert import Ledger
from tachograph.store.journal import Journal
from tachograph.store.writer import Writer
from tachograph.targets import Targets
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tachograph.core.records import Call
    from tachograph.settings import Durability

logger = logging.getLogger("tachograph")

EXIT_SECONDS = 2.0
"""How long a recorder may hold up the end of the program; the rest stays in the journal."""


class Status(NamedTuple):
    """The ledger: made = stored + waiting + the sum of dropped."""

    made: int
    """Calls that ended."""
    stored: int
    waiting: int
    dropped: dict[str, int]
    """By reason."""
    in_flight: int
    """Calls that have not ended."""
    journal_bytes: int


class Recorder:
    """Records the OpenRouter calls of this process into one database.

    `url` is a SQLAlchemy URL (`sqlite:///calls.db`); `base_urls` are further base URLs to record.
    `durability` says what a call that ended survives: "process" (kill -9), "power", or "memory"
    (nothing). Making one opens no connection on this thread. Raises SettingsError for settings
    that cannot be used, StoreError where the journal's folder cannot be written.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        base_urls: Iterable[str] = (),
        durability: Durability | None = None,
        tracer_provider: Any = None,
    ) -> None:
        settings = Settings.of(url=url, base_urls=tuple(base_urls), durability=durability)
        self.url = settings.db
        self._targets = Targets(settings.base_urls)
        self._service_name = settings.service_name
        self._environment = settings.environment
        self._spans = Spans(tracer_provider)
        self._open: set[Live] = set()
        self._dropped: deque[Live] = deque()
        self._ending = threading.Lock()
        self._troubles: set[str] = set()
        self._closed = settings.disabled
        began_us = time_ns() // 1000
        recorder_id = uuid7(began_us)
        in_memory = settings.durability == "memory" or settings.disabled
        folder = None if in_memory else journal_folder(self.url, settings.journal_dir)
        self._journal = Journal(folder, recorder_id, began_us, sync=settings.durability == "power")
        self._writer = Writer(
            self.url,
            self._journal,
            Ledger(
                id=recorder_id,
                began_us=began_us,
                last_seen_us=began_us,
                made=0,
                dropped={},
                host=platform.node() or None,
                pid=os.getpid(),
                service_name=self._service_name,
            ),
            read_usage=read_usage,
            spans=self._spans,
            before_batch=self._end_dropped,
        )
        if not self._closed:
            self._writer.start()
            _close_at_exit(self)

    @classmethod
    def from_env(cls) -> Recorder:
        """A recorder as the environment says (`TACHOGRAPH_DB`, `TACHOGRAPH_BASE_URLS`, ...)."""
        return cls()

    # --- the path of a call ---

    def begin(self, request: Any) -> Live | None:
        """A request is being handed to the transport; None when it is not OpenRouter's."""
        if self._closed:
            return None
        try:
            return self._begin(request)
        except Exception as exc:
            self.troubled(exc)
            return None

    def _begin(self, request: Any) -> Live | None:
        target = self._targets.find(request.url)
        if target is None:
            return None
        headers = {name.lower(): value for name, value in request.headers.raw}
        body = _body(request)
        facts = read_request(body) if body else None
        operation = current_operation.get()
        started_us = time_ns() // 1000
        call_id = uuid7(started_us)
        retries = headers.get(b"x-stainless-retry-count")
        place = place_of(call_id, request, body, retries)
        begun = (
            call_id,
            place.operation_id,
            place.attempt,
            place.resend_count,
            target.operation_name,
            operation.name if operation else None,
            (operation and operation.session_id) or _session(facts, headers),
            (operation and operation.user_id) or (facts.user_id if facts else None),
            operation.tags if operation else None,
            self._service_name,
            self._environment,
            self._targets.sdk(headers.get(b"user-agent")),
            None,
            target.host,
            target.path,
            *(_NO_FACTS if facts is None else facts.as_fields()),
            _length(body, headers),
            started_us,
        )
        span = self._spans.begin()
        live = Live(
            self,
            request,
            body,
            place,
            target.dialect,
            begun,
            _NO_SPAN if span is None else astuple(span),
            perf_counter_ns(),
        )
        self._open.add(live)
        if facts is not None and facts.stream:
            try:
                self._journal.begin(live.begun())
            except Exception as exc:
                self.troubled(exc)
        return live

    def claim(self, live: Live) -> bool:
        """Whether this is the first end of the call."""
        try:
            self._open.remove(live)
        except KeyError:
            return False
        return True

    def ended(self, live: Live, call: Call) -> None:
        """A call has ended: from here on it survives."""
        try:
            self._journal.append(call)
        finally:
            if self._writer.idle:
                self._writer.ring()

    def dropped(self, live: Live) -> None:
        """A response was garbage-collected. A destructor must not wait for a lock that its own
        thread may hold, so the writer's thread ends the call."""
        if live in self._open:
            self._dropped.append(live)
            if self._writer.idle:
                self._writer.ring()

    def _end_dropped(self) -> None:
        with self._ending:  # whoever finds none left knows that all have ended
            while self._dropped:
                self._dropped.popleft().end_dropped()

    def troubled(self, exc: Exception) -> None:
        """The recording failed, the call goes on: each kind of trouble is logged once."""
        kind = f"{type(exc).__name__}: {exc}"[:200]
        if kind not in self._troubles and len(self._troubles) < 100:
            self._troubles.add(kind)
            logger.error("tachograph: a call could not be recorded in full: %s", kind, exc_info=exc)

    # --- what the app says and asks ---

    @contextmanager
    def operation(
        self,
        name: str | None = None,
        *,
        session: str | None = None,
        user: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Iterator[None]:
        """Gathers the calls made inside, here and in tasks and threads that copy the context,
        into one operation with this name, session, user and tags."""
        token = current_operation.set(Operation(name, session, user, tags))
        try:
            yield
        finally:
            current_operation.reset(token)

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until every call that has ended is in SQL; False when the time was not enough."""
        self._end_dropped()
        return self._closed or self._writer.flush(timeout)

    def status(self) -> Status:
        """The ledger of this recorder."""
        dropped = self._writer.dropped()
        made = self._journal.counts["made"]
        stored = self._writer.stored
        return Status(
            made=made,
            stored=stored,
            waiting=made - stored - sum(dropped.values()),
            dropped=dropped,
            in_flight=len(self._open),
            journal_bytes=self._journal.size,
        )

    def close(self, timeout: float = EXIT_SECONDS) -> bool:
        """Stores what waits and ends; False when the time was not enough, and the rest stays in
        the journal for the next recorder. Calls that still run are recorded as interrupted."""
        if self._closed:
            return True
        self._closed = True
        self._end_dropped()
        for live in list(self._open):
            live.interrupt()
        done = self._writer.close(timeout)
        if done:
            self._journal.close()
        _recorders.discard(self)
        return done

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _session(facts: Any, headers: dict[bytes, bytes]) -> str | None:
    if facts is not None and facts.session_id:
        return str(facts.session_id)
    header = headers.get(b"x-session-id")
    return None if header is None else header.decode("latin-1")[:256]


def _body(request: Any) -> bytes | None:
    """The request's body; None when it is a stream, which only the transport may read."""
    try:
        body: bytes = request.content
    except Exception:  # RequestNotRead, of either family
        return None
    return body


def _length(body: bytes | None, headers: dict[bytes, bytes]) -> int | None:
    if body is not None:
        return len(body)
    stated = headers.get(b"content-length", b"")
    return int(stated) if stated.isdigit() else None


_NO_FACTS = (None,) * 9
_NO_SPAN = (None,) * 5

_recorders: WeakSet[Recorder] = WeakSet()


def _close_at_exit(recorder: Recorder) -> None:
    if not _recorders:
        # Before the threads of other libraries end, and before a tracer provider shuts down, both
        # of which `atexit` alone cannot promise.
        getattr(threading, "_register_atexit", atexit.register)(_close_all)
    _recorders.add(recorder)


def _close_all() -> None:
    for recorder in list(_recorders):
        recorder.close()
