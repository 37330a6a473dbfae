"""The append-only files that survive a crash: one write(2) for each call that ended.

A recording process writes one *segment* at a time, and holds a lock on it; the segments of the
dead are taken up by whoever locks them next. A segment goes when all its records are in SQL.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from tachograph.core.records import Call
from tachograph.errors import JournalError
from tachograph.store.framing import (
    BEGIN,
    COUNTERS,
    END,
    HEAD_BYTES,
    RECORD,
    decode,
    pack,
    record_at,
)
from tachograph.store.segment import SUFFIX, Segment

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_BYTES = 8 << 20
MAX_BYTES = 1 << 30
IN_MEMORY = 20_000
"""Calls that wait in memory at the most; behind them, the writer reads the files."""

_MADE, _FULL, _UNWRITABLE = range(len(COUNTERS))
_READ_BYTES = 1 << 20


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A call that waits for the writer, and the segment that holds it (None: memory only).

    Not known to the garbage collector: thousands may wait.
    """

    call: Call
    segment: Segment | None


class Journal:
    """The segments of this process, and the calls in them that wait for the writer.

    `begin` and `append` run on the caller's thread and do no more than encode and one write;
    the rest belongs to the writer's thread. A folder of None keeps calls in memory only.
    """

    def __init__(
        self,
        folder: Path | None,
        recorder_id: bytes,
        began_us: int,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int = MAX_BYTES,
        in_memory: int = IN_MEMORY,
        sync: bool = False,
    ) -> None:
        self.folder = folder
        self.recorder_id = recorder_id
        self.began_us = began_us
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._in_memory = in_memory
        self._sync = sync
        self._sync_lock = threading.Lock()
        self._synced: tuple[int, int] = (0, 0)  # number of the segment, bytes of it
        self._lock = threading.Lock()
        self._pending: deque[Pending] = deque()
        self._behind: tuple[Segment, int] | None = None  # from where calls wait in files alone
        self._begun: dict[bytes, bytes] = {}  # open streams: id -> their BEGIN record
        self._segments: list[Segment] = []
        self._done_bytes = 0  # of all segments but the current one
        self._number = 0
        self._counts = [0] * len(COUNTERS)
        self.taken_in = 0
        """Calls that were given to the writer's queue."""
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                self._segments.append(self._new_segment())
            except OSError as exc:
                raise JournalError(
                    f"the journal's folder {folder} cannot be written: {exc}. Name another one in "
                    'TACHOGRAPH_JOURNAL_DIR, or give up crash safety with durability="memory"'
                ) from exc

    # --- the caller's thread ---

    def begin(self, call: Call) -> None:
        """Notes that a stream has begun, so that a crash cannot hide it."""
        if not self._segments:
            return
        record = pack(BEGIN, call)
        with self._lock:
            self._begun[call.id] = record
            if self._has_room(len(record)):
                self._segments[-1].write(record)

    def append(self, call: Call) -> None:
        """Keeps a call that ended.

        Raises OSError when the file could not take it (the call is then in memory alone), and
        ValueError when it has something that cannot be written (it is then dropped, and counted).
        """
        if not self._segments:
            with self._lock:
                self._count(_MADE)
                self._wait(Pending(call, None))
            return
        try:
            record = pack(END, call)
        except (TypeError, ValueError, OverflowError):  # UnicodeEncodeError is a ValueError
            with self._lock:
                self._count(_MADE)
                self._count(_UNWRITABLE)
            raise
        with self._lock:
            self._count(_MADE)
            self._begun.pop(call.id, None)
            segment = self._segments[-1]
            if not self._has_room(len(record)):
                self._count(_FULL)
                return
            at = segment.size
            try:
                segment.write(record)
            except OSError:
                self._wait(Pending(call, None))
                raise
            segment.waiting += 1
            self._wait(Pending(call, segment), at)
            written = (self._number, segment.size)
        if self._sync:
            self._sync_up_to(segment, written)

    def _sync_up_to(self, segment: Segment, written: tuple[int, int]) -> None:
        """Waits for the disk; callers that come meanwhile share the next wait."""
        with self._sync_lock:
            if self._synced < written:
                reached = (written[0], segment.size)
                os.fdatasync(segment.fd)
                self._synced = max(self._synced, reached)

    # --- the writer's thread ---

    def take(self, most: int) -> list[Pending]:
        """The calls that have waited longest, at most so many; `settled` gives them back."""
        with self._lock:
            taken = [self._pending.popleft() for _ in range(min(most, len(self._pending)))]
            behind = self._behind
        return taken if taken or behind is None else self._read_on(*behind, most)

    def _read_on(self, segment: Segment, at: int, most: int) -> list[Pending]:
        """Takes calls that wait in files alone, since there was no room for them in memory."""
        taken: list[Pending] = []
        data = segment.read(at, _READ_BYTES)
        start = 0
        while len(taken) < most:
            record = record_at(data, start)
            if record is None:
                break
            kind, end = record
            if kind == END:
                taken.append(Pending(decode(data[start + RECORD.size : end]), segment))
            start = end
        if most and data and not start:
            raise JournalError(f"{segment.path} cannot be read from byte {at} on")
        at += start
        with self._lock:
            self._behind = (segment, at)
            if at == segment.size:
                following = self._segments.index(segment) + 1
                if following < len(self._segments):
                    self._behind = (self._segments[following], HEAD_BYTES)
                else:
                    self._behind = None
            rest = self._behind
        if not taken and rest is not None and rest != (segment, at):
            return self._read_on(*rest, most)
        return taken

    def sync(self) -> None:
        """Brings what was written to the disk: while SQL is away, the files are all there is."""
        for segment in list(self._segments):
            os.fdatasync(segment.fd)

    def settled(self, batch: list[Pending]) -> None:
        """These calls are in SQL: their segments may go, and a full one is followed by another."""
        with self._lock:
            for pending in batch:
                if pending.segment is not None:
                    pending.segment.waiting -= 1
            full = bool(self._segments) and self._segments[-1].size > self._segment_bytes
            done = [s for s in self._segments[:-1] if not s.waiting]
        if full:
            self._rotate()
        if done:
            with self._lock:
                self._segments = [s for s in self._segments if s not in done]
                self._done_bytes = sum(s.size for s in self._segments[:-1])
            for segment in done:
                segment.delete()

    def close(self) -> None:
        """Lets go of all segments: those with nothing to tell are deleted."""
        with self._lock:
            segments, self._segments = self._segments, []
            begun = bool(self._begun)
            for segment in segments:
                if segment.waiting or (begun and segment is segments[-1]):
                    segment.close()
                else:
                    segment.delete()

    def abandon(self) -> None:
        """This is a forked child: the files are its parent's, and so is the lock on them."""
        self._lock = threading.Lock()
        self._pending.clear()
        self._behind = None
        for segment in self._segments:
            segment.close()
        self._segments = []

    # --- anyone ---

    @property
    def waiting(self) -> bool:
        """There are calls that the writer has not taken."""
        return bool(self._pending) or self._behind is not None

    @property
    def oldest(self) -> Call | None:
        """Of the calls in memory that the writer has not taken, the one that has waited longest."""
        try:
            return self._pending[0].call
        except IndexError:
            return None

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def counts(self) -> dict[str, int]:
        """COUNTERS by name."""
        return dict(zip(COUNTERS, self._counts, strict=True))

    def _wait(self, pending: Pending, at: int = 0) -> None:
        """Puts a call into line, in memory while there is room; `at` is where its record begins."""
        if self._behind is None and len(self._pending) < self._in_memory:
            self._pending.append(pending)
        elif pending.segment is None:
            self._count(_UNWRITABLE)  # neither the disk nor memory has room
            return
        elif self._behind is None:
            self._behind = (pending.segment, at)
        self.taken_in += 1

    def _count(self, which: int) -> None:
        self._counts[which] += 1
        if self._segments:
            self._segments[-1].counters[which] = self._counts[which]

    def _has_room(self, size: int) -> bool:
        return self._done_bytes + self._segments[-1].size + size <= self._max_bytes

    def _rotate(self) -> None:
        """A new segment takes the place of the current one, and the notes of open streams."""
        try:
            segment = self._new_segment()
        except OSError:
            return  # the current one goes on; the next batch tries again
        with self._lock:
            for which, number in enumerate(self._counts):
                segment.counters[which] = number
            for record in self._begun.values():
                segment.write(record)
            self._segments.append(segment)
            self._done_bytes = sum(s.size for s in self._segments[:-1])

    def _new_segment(self) -> Segment:
        assert self.folder is not None
        self._number += 1
        name = f"{self.recorder_id.hex()}-{self._number:06d}{SUFFIX}"
        return Segment(self.folder / name, self.recorder_id, self.began_us)
