"""One file of the journal, written and locked by the process that owns it.

A `flock` tells the living from the dead, since the kernel frees it when a process dies.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from typing import TYPE_CHECKING

from tachograph.errors import StoreError
from tachograph.store.framing import COUNTERS_AT, HEAD, HEAD_BYTES, MAGIC, VERSION

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".journal"
FRESH = ".new"
"""Before it has its lock."""


class Segment:
    """A file of records that this process is writing or has written, locked by it."""

    def __init__(self, path: Path, recorder_id: bytes, began_us: int) -> None:
        self.path = path
        self.waiting = 0
        """Ended calls in it that are not in SQL yet."""
        self.following: Segment | None = None
        self.size = 0
        self.fd = _create(path)
        self._open = True
        self._sync_lock = threading.Lock()
        self._synced = 0
        try:
            head = HEAD.pack(MAGIC, VERSION, HEAD_BYTES, os.getpid(), began_us, recorder_id)
            self.write(head.ljust(HEAD_BYTES, b"\0"))
            self._head = mmap.mmap(self.fd, HEAD_BYTES)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(self.fd)
            raise
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
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def read(self, at: int, size: int) -> bytes:
        """So many bytes from there on, or as many as there are."""
        return os.pread(self.fd, min(size, self.size - at), at)

    def sync(self, end: int) -> None:
        """Waits until the disk has it up to there; callers that come meanwhile share the next
        wait. One that was closed is in SQL, or its process ends."""
        if self._synced >= end:
            return
        with self._sync_lock:
            if self._open and self._synced < end:
                if not self._synced:
                    _sync_folder(self.path.parent)  # a file without a name is gone as well
                reached = self.size
                os.fdatasync(self.fd)
                self._synced = reached

    def close(self) -> None:
        """Lets the file go; it stays on disk for whoever adopts it."""
        with self._sync_lock:
            self.abandon()

    def abandon(self) -> None:
        """The same in a forked child, whose parent may have been waiting for the disk."""
        self._open = False
        self.counters.release()
        self._head.close()
        os.close(self.fd)

    def delete(self) -> bool:
        """Lets the file go for good; False where the folder cannot be written, which may pass."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        self.close()
        return True


def _create(path: Path) -> int:
    """A new locked file; it gets its name only with the lock, so no adopter sees it without.

    An adopter that finds it before it is locked takes it for a dead process's and deletes it: then
    there is another.
    """
    fresh = path.with_suffix(FRESH)
    while True:
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            lock(fd, wait=True)
            if os.fstat(fd).st_nlink:
                fresh.rename(path)
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock(fd: int, *, wait: bool = False) -> None:
    """Takes the file for this process until it closes it or dies; BlockingIOError when another
    process has it, StoreError where the system has no such locks."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        raise StoreError(
            "this system lacks flock, which keeps processes apart: calls can be recorded with "
            'durability="memory", and an archive is written on another system'
        ) from None
    flock(fd, LOCK_EX | (0 if wait else LOCK_NB))
