"""The append-only files that survive a crash: one write(2) for each call that ended.

A recording process writes one *segment* at a time, and holds a lock on it; the segments of the
dead are taken up by whoever locks them next. A segment goes when all its records are in SQL.
"""

from __future__ import annotations

import threading
from time import sleep
from typing import TYPE_CHECKING

from tachograph.errors import JournalError
from tachograph.store.framing import BEGIN, COUNTERS, END, pack
from tachograph.store.segment import SUFFIX, Segment
from tachograph.store.waiting import IN_MEMORY, MEMORY_BYTES, Pending, Waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tachograph.core.records import Call

_GIVE_WAY_SECONDS = 5e-5
SEGMENT_BYTES = 8 << 20
MAX_BYTES = 1 << 30

_MADE, _FULL, _UNWRITABLE = range(len(COUNTERS))


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
        memory_bytes: int = MEMORY_BYTES,
        sync: bool = False,
    ) -> None:
        self.folder = folder
        self.recorder_id = recorder_id
        self.began_us = began_us
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._sync = sync
        self._lock = threading.Lock()
        self._waiting = Waiting(self._lock, in_memory, memory_bytes)
        self._unsaved = 0  # calls in memory that no file would take
        self._begun: dict[bytes, bytes] = {}  # open streams: id -> their BEGIN record
        self._segments: list[Segment] = []
        self._done_bytes = 0  # of all segments but the current one
        self._number = 0
        self._counts = [0] * len(COUNTERS)
        self.taken_in = 0
        """Calls that were given to the writer's queue."""
        if folder is not None:
            try:
                for made in (folder.parent, folder):
                    made.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        try:
            record = pack(END, call)
        except (TypeError, ValueError, OverflowError):  # UnicodeEncodeError is a ValueError
            with self._lock:
                self._begun.pop(call.id, None)
                self._count(_UNWRITABLE)
                self._count(_MADE)
            raise
        with self._lock:
            # `made` is counted last: who is killed in between has a call more than it says, which
            # an adopter sees, and never one less, which would look like a loss
            try:
                if not self._segments:
                    self._wait(Pending(call, None, len(record)))
                    return
                self._begun.pop(call.id, None)
                segment = self._segments[-1]
                if not self._has_room(len(record)):
                    self._count(_FULL)
                    return
                at = segment.size
                try:
                    segment.write(record)
                except OSError:
                    self._wait(Pending(call, None, len(record)))
                    raise
                segment.waiting += 1
                self._wait(Pending(call, segment, len(record)), at)
                end = segment.size
            finally:
                self._count(_MADE)
        if self._sync:
            segment.sync(end)

    # --- the writer's thread ---

    def give_way(self) -> None:
        """Lets a caller go first that is writing now.

        A write gives the interpreter's lock away, and a thread that is at work would keep it for
        five milliseconds, while the caller waits for it.
        """
        if self._lock.locked():
            sleep(_GIVE_WAY_SECONDS)

    def take(self, most: int) -> list[Pending]:
        """The calls that have waited longest, at most so many; `settled` gives them back."""
        return self._waiting.take(most)

    def sync(self, taken: list[Pending]) -> list[Pending]:
        """Brings what was written to the disk: while SQL is away, the files are all there is.

        What no file would take before is tried again: `taken` is what the writer holds, and comes
        back as it is then. Raises OSError.
        """
        if self._unsaved and self._segments:
            with self._lock:
                if self._waiting.all_in_memory:  # else what is read on would come twice
                    self._waiting.replace(self._saved)
                    taken = [self._saved(pending) for pending in taken]
        for segment in list(self._segments):
            segment.sync(segment.size)
        self._follow_when_full()
        return taken

    def settled(self, batch: list[Pending]) -> None:
        """These calls are in SQL: their segments may go, and a full one is followed by another."""
        with self._lock:
            for pending in batch:
                if pending.segment is not None:
                    pending.segment.waiting -= 1
                else:
                    self._unsaved -= 1
            done = [s for s in self._segments[:-1] if not s.waiting]
        self._follow_when_full()
        gone = [segment for segment in done if segment.delete()]
        if gone:
            with self._lock:
                self._segments = [s for s in self._segments if s not in gone]
                self._done_bytes = sum(s.size for s in self._segments[:-1])

    def close(self, taken: list[Pending]) -> None:
        """Lets go of all segments: those with nothing to tell are deleted.

        `taken` is what the writer could not store. What is in memory alone is tried to be written
        once more, and is dropped where that fails.
        """
        with self._lock:
            tells = bool(self._begun)
            if self._unsaved:
                for pending in [*taken, *self._waiting.take_all()]:
                    if self._saved(pending).segment is None:
                        self._count(_UNWRITABLE)
                        tells = True
            segments, self._segments = self._segments, []
            for segment in segments:
                has_told = not segment.waiting and not (tells and segment is segments[-1])
                if not (has_told and segment.delete()):
                    segment.close()

    def abandon(self) -> None:
        """This is a forked child: the files are its parent's, and so is the lock on them."""
        for segment in self._segments:
            segment.abandon()
        self._segments = []
        self._waiting.take_all()

    # --- anyone ---

    @property
    def waiting(self) -> bool:
        """There are calls that the writer has not taken."""
        return bool(self._waiting)

    @property
    def oldest(self) -> Call | None:
        """Of the calls in memory that the writer has not taken, the one that has waited longest."""
        return self._waiting.oldest

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def counts(self) -> dict[str, int]:
        """COUNTERS by name."""
        return dict(zip(COUNTERS, self._counts, strict=True))

    def _wait(self, pending: Pending, at: int = 0) -> None:
        """Puts a call into line; `at` is where its record begins."""
        if not self._waiting.put(pending, at):
            self._count(_UNWRITABLE)  # neither the disk nor memory has room
            return
        if pending.segment is None:
            self._unsaved += 1
        self.taken_in += 1

    def _saved(self, pending: Pending) -> Pending:
        """The same call, in a file if one takes it now."""
        if pending.segment is not None or not self._segments:
            return pending
        segment = self._segments[-1]
        try:
            segment.write(pack(END, pending.call))
        except OSError:
            return pending
        segment.waiting += 1
        self._unsaved -= 1
        return Pending(pending.call, segment, pending.size)

    def _count(self, which: int) -> None:
        self._counts[which] += 1
        if self._segments:
            self._segments[-1].counters[which] = self._counts[which]

    def _has_room(self, size: int) -> bool:
        return self._done_bytes + self._segments[-1].size + size <= self._max_bytes

    def _follow_when_full(self) -> None:
        """A new segment takes the place of a full one, and the notes of open streams."""
        if not self._segments or self._segments[-1].size <= self._segment_bytes:
            return
        try:
            segment = self._new_segment()
        except OSError:
            return  # the full one goes on; the next batch tries again
        with self._lock:
            try:
                for record in self._begun.values():
                    segment.write(record)
            except OSError:
                segment.delete()
                return
            for which, number in enumerate(self._counts):
                segment.counters[which] = number
            self._segments[-1].following = segment
            self._segments.append(segment)
            self._done_bytes = sum(s.size for s in self._segments[:-1])

    def _new_segment(self) -> Segment:
        assert self.folder is not None
        self._number += 1
        name = f"{self.recorder_id.hex()}-{self._number:06d}{SUFFIX}"
        return Segment(self.folder / name, self.recorder_id, self.began_us)
