"""The recorder: it begins calls, takes them when they have ended, and hands them on.

begin -> Live -> ended: the journal has it (one write), the writer's thread does the rest. No
failure of the recording reaches the caller: it is logged once for each kind, and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from tachograph.beginning import Beginning
from tachograph.core.trace_flags import is_foreign
from tachograph.core.troubles import Troubles
from tachograph.lifetime import forget, keep, watch_over
from tachograph.live import Live
from tachograph.lookups import Lookups
from tachograph.openrouter.usage import read_usage
from tachograph.operation import Operation, current_operation
from tachograph.pipeline import journal_and_writer, status_of
from tachograph.settings import Settings
from tachograph.telemetry.ledger import show_ledger
from tachograph.telemetry.metrics import Metrics
from tachograph.telemetry.signals import Signals
from tachograph.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tachograph.content import ContentCapture
    from tachograph.core.records import Call, OperationSpan
    from tachograph.settings import Durability
    from tachograph.status import Status
    from tachograph.telemetry.spans import OnForeignSpan, OtelMode

EXIT_SECONDS = 2.0
"""How long a recorder may hold up the end of the program; the rest stays in the journal."""


class Recorder:
    """Records the OpenRouter calls of this process into one database.

    `url` is a SQLAlchemy URL (`sqlite:///calls.db`, `postgresql://...`); `base_urls` are further
    base URLs to record. `durability` says what a call that ended survives: "process" (kill -9),
    "power", or "memory" (nothing). `api_key_salt` tells API keys apart by a salted hash.

    `capture_content` keeps prompts and answers in a table of their own: "full", "metadata" (their
    shape without any text), or a function that is given request and answer as JSON values and
    returns both as they may be kept, or None. None: as TACHOGRAPH_CAPTURE_CONTENT says, else not.
    `reconcile` looks up what calls cost that ended without a bill, with the key that they were sent
    with, which is kept in memory alone.

    Spans and metrics go to the given providers, else to those that the app has set. With
    `otel_mode="inline"` a call's span is current while it runs, and `propagate=True` sends its
    `traceparent` along; `on_foreign_span` says what becomes of a call for which another
    instrumentation has a span already.

    Making one opens no connection on this thread, and a database that cannot be written is no
    error: calls wait in the journal. Raises SettingsError for settings that cannot be used,
    StoreError where the URL is no database's or the journal's folder cannot be written.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        base_urls: Iterable[str] = (),
        durability: Durability | None = None,
        capture_content: Literal[False] | ContentCapture | None = None,
        reconcile: bool = False,
        api_key_salt: str | None = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        otel_mode: OtelMode = "deferred",
        on_foreign_span: OnForeignSpan = "enrich",
        propagate: bool = False,
    ) -> None:
        settings = Settings.of(
            url=url,
            base_urls=base_urls if isinstance(base_urls, str) else tuple(base_urls),
            durability=durability,
            capture_content=None if callable(capture_content) else capture_content,
            api_key_salt=api_key_salt,
        )
        self.url = settings.db
        self._settings = settings
        self._reconcile = reconcile
        self._contents = capture_content if callable(capture_content) else settings.contents
        self._spans = Spans(
            tracer_provider,
            settings.semconv,
            mode=otel_mode,
            on_foreign_span=on_foreign_span,
            propagate=propagate,
        )
        self._beginning = Beginning(settings, self._spans)
        self._signals = Signals(self._spans, Metrics(meter_provider, settings.semconv))
        self.troubled = Troubles("a call could not be recorded in full")
        self._closed = settings.disabled
        self._begin_process()
        if not self._closed:
            self._writer.start()
            watch_over(self)
            show_ledger(self, meter_provider)

    def _begin_process(self) -> None:
        """What belongs to one process: its journal and its writer."""
        self._inherited = False
        self._open: set[Live] = set()
        self._dropped: deque[Live] = deque()
        self._ending = threading.Lock()
        self._journal, self._writer = journal_and_writer(
            self._settings,
            recording=not self._closed,
            spans=self._signals,
            before_batch=self._end_dropped,
        )
        asks = self._reconcile and not self._closed
        self._lookups = Lookups(self.url, self._settings.base_urls) if asks else None

    def before_fork(self) -> None:
        self._writer.before_fork()
        if self._lookups is not None:
            self._lookups.before_fork()

    def after_fork(self) -> None:
        self._writer.after_fork()
        if self._lookups is not None:
            self._lookups.after_fork()

    def forked(self) -> None:
        """This is a child process now: what the parent has is the parent's. The child begins
        anew with its first call."""
        self._journal.abandon()
        self._open = set()
        self._inherited = True
        self._begin_lock = threading.Lock()
        keep((self._writer, self._lookups))

    def _begin_in_child(self) -> None:
        with self._begin_lock:
            if self._inherited:
                self._begin_process()
                self._writer.start()

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
            if self._inherited:
                self._begin_in_child()
            return self._begin(request)
        except Exception as exc:
            self.troubled(exc)
            return None

    def _begin(self, request: Any) -> Live | None:
        live = self._beginning.live(self, request)
        if live is None:
            return None
        self._open.add(live)
        if self._contents is not None:
            live.overhear(self._contents)
        if self._spans.inline:
            self._spans.start(live.begun(), live.place.resend_of_span)
            self._spans.inject(live.span_id, request.headers)
        if live.streams:
            try:
                self._journal.begin(live.begun())
            except Exception as exc:
                self.troubled(exc)
        return live

    def current(self, live: Live) -> AbstractContextManager[None]:
        """Around the transport: the call's span is current there, where spans are inline."""
        return self._spans.current(live.span_id) if self._spans.inline else _NOTHING

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
            if call.trace_flags and is_foreign(call.trace_flags):
                call = self._spans.enrich(call, read_usage(call))
            self._journal.append(call)
            if self._lookups is not None:
                self._lookups.ended(call, live.request)
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
        operation = Operation(name, session, user, tags)
        token = current_operation.set(operation)
        try:
            with self._spans.operation(
                operation.name,
                session=operation.session_id,
                tags=operation.tags,
                ended=partial(self._keep_span, operation),
            ):
                yield
        finally:
            current_operation.reset(token)

    def _keep_span(self, operation: Operation, span: OperationSpan) -> None:
        """What `tachograph export spans` needs to send it again."""
        app = self._beginning.app._asdict()
        self._writer.keep(replace(span, operation_id=operation.id, **app))

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until every call that has ended is in SQL; False when the time was not enough."""
        if self._closed or self._inherited:
            return True
        self._end_dropped()
        return self._writer.flush(timeout)

    def status(self) -> Status:
        """The ledger of this recorder."""
        return status_of(self._journal, self._writer, in_flight=len(self._open))

    @property
    def lag_seconds(self) -> float:
        """Age of the call that has waited longest for SQL; 0 when none waits."""
        return self._writer.lag_seconds

    def close(self, timeout: float = EXIT_SECONDS) -> bool:
        """Stores what waits and ends; False when the time was not enough, and the rest stays in
        the journal for the next recorder. Calls that still run are recorded as interrupted."""
        if self._closed or self._inherited:
            return True
        self._closed = True
        until = monotonic() + timeout
        self._end_dropped()
        for live in list(self._open):
            live.interrupt()
        forget(self)
        done = self._writer.close(timeout)
        if self._lookups is not None:
            self._lookups.close(max(0.0, until - monotonic()))
        return done

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_NOTHING = nullcontext()
