"""The stand-in for OpenRouter: a real socket on this machine that answers as OpenRouter does."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from tachograph.testing.answers import Answer, Hold
from tachograph.testing.catalogue import MODELS, Model
from tachograph.testing.replies import Replies
from tachograph.testing.wire import Request, read_request, send

Respond = Callable[[Request, Answer], Answer]
"""Chooses the answer to a request; it is given the one that the stand-in would send."""


class FakeOpenRouter:
    """A server that answers as OpenRouter does; no key, no money and no network are needed.

    It listens from the start, and each connection has a thread of its own. By itself it answers
    `/chat/completions`, plain and streamed, `/models` and `/models/{author}/{slug}/endpoints`.
    Other answers are given by `script`, or by `respond`, which chooses for every request that no
    script is left for. Any model is served; those that `models` does not list are free of charge.
    """

    def __init__(self, respond: Respond | None = None, *, models: Sequence[Model] = MODELS) -> None:
        self.requests: list[Request] = []
        """Every request so far, in the order of arrival."""
        self._respond = respond
        self._replies = Replies(models)
        self._script: deque[Answer | Respond] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._holds: set[Hold] = set()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="fake-openrouter", daemon=True)
        self._acceptor.start()

    @property
    def base_url(self) -> str:
        """What a client takes for `https://openrouter.ai/api/v1`."""
        return f"http://127.0.0.1:{self._port}/api/v1"

    def script(self, *answers: Answer | Respond) -> None:
        """Answers for the next requests, one each, whatever they ask for."""
        with self._lock:
            self._script.extend(answers)

    def close(self) -> None:
        """Ends every connection and thread; what is held or paused is cut short."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            holds, connections = list(self._holds), dict(self._connections)
        # wakes the acceptor, on every system
        socket.create_connection(("127.0.0.1", self._port)).close()
        for hold in holds:
            hold.release()
        for connection in connections:
            _shut(connection)
        for thread in (self._acceptor, *connections.values()):
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        for number in count(1):
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(
                target=self._serve, args=(connection, number), name="fake-openrouter", daemon=True
            )
            with self._lock:
                if self._closing.is_set():
                    connection.close()
                    return
                self._connections[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while (request := read_request(stream, number)) is not None:
                    answer = self._answer(request)
                    kept = send(connection, answer, pause=self._pause, hold=self._hold)
                    if not kept or request.headers.get("connection") == "close":
                        return
        except OSError:
            pass  # the client has gone, as clients do
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            scripted = self._script.popleft() if self._script else self._respond
        if isinstance(scripted, Answer):
            return scripted
        own = self._replies.answer(request)
        return own if scripted is None else scripted(request, own)

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise ConnectionAbortedError

    def _hold(self, hold: Hold) -> None:
        with self._lock:
            self._holds.add(hold)
        if not self._closing.is_set():
            hold.wait()
        self._pause(0)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have been quicker
        connection.shutdown(socket.SHUT_RDWR)
