"""The append-only file that survives a crash: one write(2) for each call that ended.

A recording process owns one folder entry at a time, a *segment*, and holds a `flock` on it. The
kernel frees the lock when the process dies, which tells the living from the dead; the segments of
the dead are taken up by whoever locks them next. A segment goes when all its records are in SQL.

Format, little-endian. Head (HEAD_BYTES): magic, version, length of the head, pid, when the process
began, id of the recorder, then COUNTERS as u64 each, zeros. Record: u32 length of the payload, u32
crc32 of kind and payload, u8 kind (BEGIN, END), payload (a `Call` as a msgpack array).
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from tachograph.core.records import Call
from tachograph.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"TACHOJNL"
VERSION = 1
HEAD_BYTES = 128
COUNTERS = ("made", "journal_full", "unwritable")
"""`made`: calls that ended; the others: of these, dropped, by reason."""
BEGIN, END = 1, 2
SUFFIX = ".journal"

SEGMENT_BYTES = 8 << 20
MAX_BYTES = 1 << 30

HEAD = struct.Struct("<8sHHIQ16s")
COUNTERS_AT = 64
RECORD = struct.Struct("<IIB")
KIND_CRC = {kind: crc32(bytes((kind,))) for kind in (BEGIN, END)}

_encode = msgspec.msgpack.Encoder().encode


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A call that waits for the writer, and the segment that holds it (None: memory only).

    Not known to the garbage collector: thousands may wait.
    """

    call: Call
    segment: Segment | None


class Segment:
    """A file of records that this process is writing or has written, locked by it."""

    def __init__(self, path: Path, recorder_id: bytes, began_us: int) -> None:
        self.path = path
        self.waiting = 0
        """Ended calls in it that are not in SQL yet."""
        self.fd = _create(path)
        head = HEAD.pack(MAGIC, VERSION, HEAD_BYTES, os.getpid(), began_us, recorder_id)
        os.write(self.fd, head.ljust(HEAD_BYTES, b"\0"))
        self.size = HEAD_BYTES
        self._head = mmap.mmap(self.fd, HEAD_BYTES)
        self.counters = memoryview(self._head)[COUNTERS_AT:].cast("Q")

    def write(self, record: bytes) -> None:
        """Appends the record whole, or raises OSError and leaves the file as it was."""
        try:
            written = os.write(self.fd, record)
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        if written != len(record):
            os.ftruncate(self.fd, self.size)
            raise OSError(f"only {written} of {len(record)} bytes could be written")
        self.size += written

    def close(self) -> None:
        """Lets the file go; it stays on disk for whoever adopts it."""
        self.counters.release()
        self._head.close()
        os.close(self.fd)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()


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
        sync: bool = False,
    ) -> None:
        self.folder = folder
        self.recorder_id = recorder_id
        self.began_us = began_us
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._sync = sync
        self._lock = threading.Lock()
        self._pending: deque[Pending] = deque()
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
        record = _record(BEGIN, call)
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
                self._count(0)
                self._wait(Pending(call, None))
            return
        try:
            record = _record(END, call)
        except (TypeError, ValueError, OverflowError):  # UnicodeEncodeError is a ValueError
            with self._lock:
                self._count(0)
                self._count(2)
            raise
        with self._lock:
            self._count(0)
            self._begun.pop(call.id, None)
            segment = self._segments[-1]
            if not self._has_room(len(record)):
                self._count(1)
                return
            try:
                segment.write(record)
            except OSError:
                self._wait(Pending(call, None))
                raise
            segment.waiting += 1
            self._wait(Pending(call, segment))
        if self._sync:
            os.fdatasync(segment.fd)

    # --- the writer's thread ---

    def take(self, most: int) -> list[Pending]:
        """The calls that have waited longest, at most so many; `settled` gives them back."""
        with self._lock:
            return [self._pending.popleft() for _ in range(min(most, len(self._pending)))]

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
        for segment in self._segments:
            segment.close()
        self._segments = []

    # --- anyone ---

    @property
    def waiting(self) -> int:
        """Calls in memory that the writer has not taken."""
        return len(self._pending)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def counts(self) -> dict[str, int]:
        """COUNTERS by name."""
        return dict(zip(COUNTERS, self._counts, strict=True))

    def _wait(self, pending: Pending) -> None:
        self._pending.append(pending)
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


def _record(kind: int, call: Call) -> bytes:
    payload = _encode(call)
    return RECORD.pack(len(payload), crc32(payload, KIND_CRC[kind]), kind) + payload


def _create(path: Path) -> int:
    """A new locked file; it gets its name only with the lock, so no adopter sees it without."""
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        lock(fd)
        fresh.rename(path)
    except OSError:
        os.close(fd)
        raise
    return fd


def lock(fd: int) -> None:
    """Takes the file for this process until it closes it or dies; BlockingIOError when another
    process has it."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        raise JournalError(
            'the journal needs flock, which this system lacks: use durability="memory"'
        ) from None
    flock(fd, LOCK_EX | LOCK_NB)
