"""One file of the journal, written and locked by the process that owns it.

A `flock` tells the living from the dead, since the kernel frees it when a process dies.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from tachograph.errors import JournalError
from tachograph.store.framing import COUNTERS_AT, HEAD, HEAD_BYTES, MAGIC, VERSION

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".journal"


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

    def read(self, at: int, size: int) -> bytes:
        """So many bytes from there on, or as many as there are."""
        return os.pread(self.fd, min(size, self.size - at), at)

    def close(self) -> None:
        """Lets the file go; it stays on disk for whoever adopts it."""
        self.counters.release()
        self._head.close()
        os.close(self.fd)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()


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
