"""Bills that did not come with their answers, asked for at `/generation` while the process lives.

Only where an app has asked for it. The key is the one that the call itself was sent with; it is
held in memory while its question waits, and goes to no other host. What is still open when the
process ends is left to `tachograph reconcile`.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from tachograph.core.headers import credential
from tachograph.errors import StoreError
from tachograph.openrouter.endpoints import root_of
from tachograph.openrouter.generation import BACK_OFF_SECONDS, PATH, read_generation
from tachograph.openrouter.usage import read_usage
from tachograph.store.database import open_engine
from tachograph.store.fork_gate import ForkGate
from tachograph.store.prices import PriceBook
from tachograph.store.reconciliations import fill_in, mark_absent
from tachograph.unrecorded import not_recorded

if TYPE_CHECKING:
    from tachograph.core.records import Call

logger = logging.getLogger("tachograph")

WAITS = (*BACK_OFF_SECONDS, *(BACK_OFF_SECONDS[-1],) * 8)
"""Seconds before each question, ten minutes in all: what is not there then never will be."""
MOST = 1000
"""Generations that wait at the most; those beyond are left to `tachograph reconcile`."""
TIMEOUT_SECONDS = 5.0

_REMEMBERED = 10_000


class Question(msgspec.Struct, frozen=True):
    """A generation to ask for. Its text never shows the key."""

    call_id: bytes
    generation_id: str
    url: str
    key: str

    def __repr__(self) -> str:
        return f"Question({self.generation_id!r})"


class Lookups:
    """A thread that asks; it begins with the first question.

    `base_urls` are those that are recorded besides OpenRouter's own.
    """

    def __init__(self, database: str, base_urls: Sequence[str] = ()) -> None:
        self._engine = open_engine(database)
        self._book = PriceBook(self._engine)
        self._gate = ForkGate()
        self._bases = [httpx.URL(url.rstrip("/")) for url in base_urls]
        self._waits = WAITS
        self._due: list[tuple[float, int, int, Question]] = []  # when, order, tries
        self._order = count()
        self._open: set[str] = set()
        self._known: dict[str, None] = {}  # asked for, or billed: not again
        self._change = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()

    def ended(self, call: Call, request: Any) -> None:
        """A call has ended: asks for its bill, if it has a generation and no bill."""
        generation = call.generation_id
        if generation is None or (call.http_status or 0) >= 400:
            return
        usage = read_usage(call)
        billed = usage is not None and usage.billed_usd is not None
        key = _key(request.headers)
        with self._change:
            if billed:
                self._open.discard(generation)  # a job, whose bill has come with a later answer
            elif key is None or generation in self._known or len(self._open) >= MOST:
                return
            self._remember(generation)
            if not billed and key is not None:
                self._open.add(generation)
                question = Question(call.id, generation, self._url(request.url), key)
                self._put(question, 0)
                self._start()

    def close(self, timeout: float) -> bool:
        """Ends the thread; False when it still waits for an answer, after which it ends."""
        with self._change:
            self._stopping = True
            self._due.clear()
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def before_fork(self) -> None:
        """Waits for a bill that is being stored, and closes the connections, as the writer does."""
        if self._gate.pause():
            self._engine.dispose()

    def after_fork(self) -> None:
        """The parent goes on."""
        self._gate.go_on()

    @property
    def waiting(self) -> int:
        """Generations that are still asked for."""
        return len(self._open)

    # --- with the lock held ---

    def _remember(self, generation: str) -> None:
        self._known[generation] = None
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def _put(self, question: Question, tries: int) -> None:
        due = time.monotonic() + self._waits[tries]
        heapq.heappush(self._due, (due, next(self._order), tries, question))
        self._change.notify_all()

    def _start(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(
                target=self._run, name="tachograph-lookups", daemon=True
            )
            self._thread.start()

    # --- the thread ---

    def _run(self) -> None:
        try:
            with not_recorded(), httpx.Client(timeout=TIMEOUT_SECONDS) as client:
                while (next_ := self._next()) is not None:
                    self._look_up(client, *next_)
        finally:
            self._engine.dispose()

    def _next(self) -> tuple[int, Question] | None:
        """The next question when it is due; None when the thread is to end."""
        with self._change:
            while not self._stopping:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, tries, question = heapq.heappop(self._due)
                    if question.generation_id in self._open:
                        return tries, question
                else:
                    self._change.wait(wait)
            return None

    def _look_up(self, client: httpx.Client, tries: int, question: Question) -> None:
        last = tries + 1 == len(self._waits)
        try:
            done = self._ask(client, question, last)
        except (httpx.HTTPError, ValueError, StoreError) as exc:
            self._tell(f"{type(exc).__name__}: {exc}")
            done = False
        with self._change:
            if done or last or self._stopping:
                self._open.discard(question.generation_id)
            else:
                self._put(question, tries + 1)

    def _ask(self, client: httpx.Client, question: Question, last: bool) -> bool:
        """Whether this generation needs no other question."""
        answer = client.get(
            question.url,
            params={"id": question.generation_id},
            headers={"Authorization": f"Bearer {question.key}"},
        )
        now_us = time.time_ns() // 1000
        if answer.status_code == httpx.codes.OK:
            found = read_generation(answer.content)
            with self._gate:
                return fill_in(self._engine, self._book, question.call_id, found, now_us)
        if answer.status_code == httpx.codes.NOT_FOUND:
            if last:
                with self._gate:
                    mark_absent(self._engine, question.call_id, now_us)
            return False
        self._tell(f"{question.url} answered {answer.status_code}")
        return answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS

    def _tell(self, trouble: str) -> None:
        if trouble not in self._told and len(self._told) < 100:
            self._told.add(trouble)
            logger.warning("tachograph: a bill could not be looked up: %s", trouble)

    def _url(self, url: Any) -> str:
        """`/generation` beside the path that the call itself went to."""
        root = "/api/v1"
        for base in self._bases:
            same = (base.scheme, base.host, base.port) == (url.scheme, url.host, url.port)
            above = base.path.rstrip("/")
            if same and url.path.startswith(above + "/"):
                version = root_of(url.path[len(above) :])
                root = above + (version and version[: version.rindex("/")] + "/v1")
                break
        return f"{url.scheme}://{url.netloc.decode()}{root}{PATH}"


def _key(headers: Any) -> str | None:
    key: str = headers.get("authorization") or headers.get("x-api-key") or ""
    return credential(key) or None
