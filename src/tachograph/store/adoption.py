"""The journals of dead processes: found, locked, read, and given to who stores them."""

from __future__ import annotations

import logging
import os
import struct
from typing import TYPE_CHECKING

import msgspec

from tachograph.store.framing import (
    BEGIN,
    COUNTERS,
    COUNTERS_AT,
    HEAD,
    HEAD_BYTES,
    MAGIC,
    RECORD,
    VERSION,
    decode,
    record_at,
)
from tachograph.store.segment import FRESH, SUFFIX, lock
from tachograph.store.waiting import BATCH, BATCH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tachograph.core.records import Call

logger = logging.getLogger("tachograph")


class Adopted:
    """What the journal of a dead process holds."""

    def __init__(self, segments: list[tuple[Path, int]]) -> None:
        self.segments = segments
        self.recorder_id, self.began_us = b"", 0
        counts = [0] * len(COUNTERS)
        for path, _ in segments:
            head = _read_head(path)
            if head is not None:
                _, _, _, _, self.began_us, self.recorder_id, *found = head
                counts = [max(pair) for pair in zip(counts, found, strict=True)]
        self.counts = dict(zip(COUNTERS, counts, strict=True))
        self.interrupted = 0
        """Streams that had begun and never ended; known when all calls were read."""
        self.damaged: list[tuple[str, bytes]] = []
        """Why, and the bytes: records that could not be read; known when all calls were read."""

    def batches(self) -> Iterator[list[Call]]:
        """The calls that ended, in their order, then the streams that never did.

        A batch has at most BATCH calls and little more than BATCH_BYTES.
        """
        batch: list[Call] = []
        size = 0
        for call, bytes_ in self._calls():
            batch.append(call)
            size += bytes_
            if len(batch) == BATCH or size > BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _calls(self) -> Iterator[tuple[Call, int]]:
        begun: dict[bytes, Call] = {}
        self.interrupted, self.damaged = 0, []
        for path, _ in self.segments:
            for kind, payload in _records(path, self.damaged):
                try:
                    call = decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                    self.damaged.append((f"not a call: {exc}", bytes(payload)))
                    continue
                if kind == BEGIN:
                    begun[call.id] = call
                else:
                    begun.pop(call.id, None)
                    yield call, len(payload)
        self.interrupted = len(begun)
        for call in begun.values():
            yield call, 0

    def delete(self) -> None:
        """All is in SQL: the files go, and with them the locks."""
        for path, fd in self.segments:
            path.unlink(missing_ok=True)
            os.close(fd)

    def release(self) -> None:
        """Leaves the files to the next adopter."""
        for _, fd in self.segments:
            os.close(fd)


def adopt(folder: Path) -> Iterator[Adopted]:
    """The journals in the folder whose process is dead, one after the other, locked.

    The caller stores what is in each, then calls its `delete` (or `release` when it could not).
    Those that this process may not open are told and left.
    """
    _delete_unborn(folder)
    by_recorder: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        by_recorder.setdefault(path.name.split("-")[0], []).append(path)
    for paths in by_recorder.values():
        locked: list[tuple[Path, int]] = []
        try:
            for path in paths:
                fd = lock_if_dead(path)
                if fd is None:
                    break
                locked.append((path, fd))
        except PermissionError as exc:
            logger.error("tachograph: a journal cannot be taken up: %s", exc)
        if len(locked) == len(paths):
            yield Adopted(locked)
        else:
            for _, fd in locked:
                os.close(fd)


def _delete_unborn(folder: Path) -> None:
    """Files whose process died between making and locking them."""
    for path in folder.glob(f"*{FRESH}"):
        fd = lock_if_dead(path)
        if fd is not None:
            path.unlink(missing_ok=True)
            os.close(fd)


def _read_head(path: Path) -> tuple[Any, ...] | None:
    """HEAD and the COUNTERS; None where there is none, or one of a newer version."""
    with path.open("rb") as file:
        data = file.read(HEAD_BYTES)
    if len(data) < HEAD_BYTES or not data.startswith(MAGIC):
        return None
    head = HEAD.unpack_from(data)
    if head[1] > VERSION:
        return None
    return (*head, *struct.unpack_from(f"<{len(COUNTERS)}Q", data, COUNTERS_AT))


def _records(path: Path, damaged: list[tuple[str, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The records that are whole.

    What a crash cut off at the end is no damage: its caller had not been answered yet. After
    damage in the middle the next record is looked for, and what lies between is kept.
    """
    data = path.read_bytes()
    if len(data) < HEAD_BYTES or not data.startswith(MAGIC):
        if data.strip(b"\0"):
            damaged.append((f"{path.name} has no head of a journal", data))
        return
    _, version, at, *_ = HEAD.unpack_from(data)
    if version > VERSION:
        damaged.append((f"{path.name} has version {version}, newer than {VERSION}", data))
        return
    while at < len(data):
        record = record_at(data, at)
        if record is None:
            following = _next_record(data, at + 1)
            if following is None:
                if _is_whole(data, at):
                    damaged.append(("checksum does not match", data[at:]))
                return
            damaged.append(("checksum does not match", data[at:following]))
            at = following
            continue
        kind, end = record
        yield kind, data[at + RECORD.size : end]
        at = end


def _next_record(data: bytes, at: int) -> int | None:
    return next((i for i in range(at, len(data)) if record_at(data, i)), None)


def _is_whole(data: bytes, at: int) -> bool:
    """Whether the record that cannot be read has all its bytes (else a crash cut it off)."""
    if at + RECORD.size > len(data) or not any(data[at:]):
        return False
    return bool(at + RECORD.size + RECORD.unpack_from(data, at)[0] <= len(data))


def lock_if_dead(path: Path) -> int | None:
    """The locked file of a dead process; None when its process lives or another adopter was
    quicker."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        lock(fd)
        if path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None
