"""Processes that read for this one, side by side: started, told what to read, and ended."""

from __future__ import annotations

import pickle
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tachograph.errors import StoreError
from tachograph.store import arrow_process
from tachograph.store.arrow_process import AGAIN, ARROW, DONE, HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30.0
"""How long a process may take until it is connected to its database."""
ASKED_AHEAD = 2
"""Ranges that a process knows of, so that it never waits for the next."""
PIECES_AHEAD = 2
"""Pieces of each process that wait to be taken: memory is bounded by this."""
_ENDED = b""


class _Piece(NamedTuple):
    by: _Process
    kind: bytes
    payload: bytes


class _Process:
    """One process, and the thread that takes what it sends."""

    def __init__(self, request: dict[str, Any], arrived: queue.Queue[_Piece]) -> None:
        # -I and -S: it needs no more than the path that it is sent
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", arrow_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._arrived = arrived
        self._thread = threading.Thread(target=self._take, name="tachograph-reading", daemon=True)
        self._thread.start()
        self.send(pickle.dumps(sys.path) + pickle.dumps(request))

    def send(self, what: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which its thread tells
            self._process.stdin.write(what)
            self._process.stdin.flush()

    def _take(self) -> None:
        out = self._process.stdout
        assert out is not None
        while len(head := out.read(HEAD.size)) == HEAD.size:
            kind, size = HEAD.unpack(head)
            self._arrived.put(_Piece(self, kind, out.read(size)))
        self._arrived.put(_Piece(self, _ENDED, b"a reading process ended by itself"))

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """After it has ended."""
        self._thread.join()
        with self._process, suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()


class ReadingProcesses:
    """So many of them; a context manager, at whose end none is left."""

    def __init__(self, request: dict[str, Any], count: int) -> None:
        """`request` has what `arrow_process.Connection` wants. OSError when none can be started."""
        self._arrived: queue.Queue[_Piece] = queue.Queue(PIECES_AHEAD * count)
        self._processes: list[_Process] = []
        self._ended = 0
        try:
            for _ in range(count):
                self._processes.append(_Process(request, self._arrived))
        except OSError:
            self._close()
            raise
        self._working = list(self._processes)

    def __enter__(self) -> ReadingProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def wait(self) -> None:
        """Until each has begun a transaction. StoreError when one cannot, or takes too long."""
        for _ in self._processes:
            self._next()

    def begin_again(self) -> None:
        """Each begins a new transaction, all in nearly the same moment."""
        for process in self._processes:
            process.send(AGAIN)
        self.wait()

    def keep_one(self) -> None:
        """Only one of them will read."""
        del self._working[1:]

    def read(self, parts: list[bytes]) -> Iterator[bytes]:
        """The Arrow streams of all these ranges, as they come. StoreError when one fails."""
        left = iter(parts)
        asked = 0
        for process, part in zip(self._working * ASKED_AHEAD, left, strict=False):
            process.send(part)
            asked += 1
        while asked:
            piece = self._next(None)
            if piece.kind == ARROW:
                yield piece.payload
            elif part := next(left, b""):
                piece.by.send(part)
            else:
                asked -= 1

    def _next(self, seconds: float | None = START_SECONDS) -> _Piece:
        try:
            piece = self._arrived.get(timeout=seconds)
        except queue.Empty:
            raise StoreError(f"a reading process gave no answer for {seconds:.0f} s") from None
        if piece.kind in (ARROW, DONE):
            return piece
        if piece.kind == _ENDED:
            self._ended += 1
        raise StoreError(" ".join(piece.payload.decode(errors="replace").split()))

    def _close(self) -> None:
        for process in self._processes:
            process.kill()
        while self._ended < len(self._processes):  # their threads may wait for room
            self._ended += self._arrived.get().kind == _ENDED
        for process in self._processes:
            process.close()
