"""The calls that wait for the writer: in memory up to a bound, behind that in the files alone."""

from __future__ import annotations

from collections import deque
from itertools import accumulate, islice
from typing import TYPE_CHECKING

import msgspec

from tachograph.core.records import Call
from tachograph.errors import JournalError
from tachograph.store.framing import END, HEAD_BYTES, RECORD, decode, record_at, record_bytes
from tachograph.store.segment import Segment

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

IN_MEMORY = 20_000
"""Calls that wait in memory at the most; behind them, the writer reads the files."""
MEMORY_BYTES = 64 << 20
"""What the records of these calls may take: with contents, one can be half a megabyte."""
BATCH = 1000
"""Calls a transaction."""
BATCH_BYTES = 8 << 20
"""Their records at the most; one call, however large, always goes."""

_READ_BYTES = 1 << 20


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A call that waits for the writer, and the segment that holds it (None: memory only).

    Not known to the garbage collector: thousands may wait.
    """

    call: Call
    segment: Segment | None
    size: int
    """Bytes of its record."""


class Waiting:
    """A line that keeps its order. Its lock is the journal's, which `put`, `replace` and
    `take_all` expect to be held."""

    def __init__(self, lock: threading.Lock, in_memory: int, memory_bytes: int) -> None:
        self._lock = lock
        self._most = in_memory
        self._most_bytes = memory_bytes
        self._calls: deque[Pending] = deque()
        self._bytes = 0
        self._behind: tuple[Segment, int] | None = None  # from where calls wait in files alone

    def __bool__(self) -> bool:
        return bool(self._calls) or self._behind is not None

    @property
    def oldest(self) -> Call | None:
        """Of the calls in memory, the one that has waited longest."""
        try:
            return self._calls[0].call
        except IndexError:
            return None

    def put(self, pending: Pending, at: int) -> bool:
        """Puts a call at the end; `at` is where its record begins. False when there is no room in
        memory for a call that no file holds."""
        if (
            self._behind is None
            and len(self._calls) < self._most
            and self._bytes + pending.size <= self._most_bytes
        ):
            self._calls.append(pending)
            self._bytes += pending.size
        elif pending.segment is None:
            return False
        elif self._behind is None:
            self._behind = (pending.segment, at)
        return True

    def replace(self, by: Callable[[Pending], Pending]) -> None:
        """Puts others of the same size into the places of those in memory."""
        self._calls = deque(by(pending) for pending in self._calls)

    @property
    def all_in_memory(self) -> bool:
        return self._behind is None

    def take_all(self) -> list[Pending]:
        """All that are in memory."""
        taken = list(self._calls)
        self._calls.clear()
        self._bytes = 0
        return taken

    def take(self, most: int) -> list[Pending]:
        """Those that have waited longest: at most so many, and BATCH_BYTES."""
        with self._lock:
            number = min(most, len(self._calls))
            if self._bytes > BATCH_BYTES and number:
                sizes = accumulate(pending.size for pending in islice(self._calls, number))
                number = max(1, sum(1 for size in sizes if size <= BATCH_BYTES))
            taken = [self._calls.popleft() for _ in range(number)]
            behind = self._behind
        if not taken:
            return self._read_on(*behind, most) if behind is not None else []
        size = sum(pending.size for pending in taken)
        with self._lock:
            self._bytes -= size
        return taken

    def _read_on(self, segment: Segment, at: int, most: int) -> list[Pending]:
        """Takes calls that wait in files alone, since there was no room for them in memory."""
        taken: list[Pending] = []
        data = segment.read(at, _READ_BYTES)
        if (whole := record_bytes(data)) > len(data):
            data = segment.read(at, whole)
        start = 0
        while len(taken) < most:
            record = record_at(data, start)
            if record is None:
                break
            kind, end = record
            if kind == END:
                call = decode(data[start + RECORD.size : end])
                taken.append(Pending(call, segment, end - start))
            start = end
        if most and data and not start:
            raise JournalError(f"{segment.path} cannot be read from byte {at} on")
        at += start
        with self._lock:
            rest: tuple[Segment, int] | None = (segment, at)
            if at == segment.size:
                rest = (segment.following, HEAD_BYTES) if segment.following is not None else None
            self._behind = rest
        if not taken and rest is not None and rest != (segment, at):
            return self._read_on(*rest, most)
        return taken
