"""The journals of dead processes: found, locked, read, and given to who stores them."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tachograph.core.records import Call
from tachograph.store.framing import (
    BEGIN,
    COUNTERS,
    COUNTERS_AT,
    END,
    HEAD,
    HEAD_BYTES,
    MAGIC,
    RECORD,
    VERSION,
    decode,
    record_at,
)
from tachograph.store.segment import FRESH, SUFFIX, lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Adopted(NamedTuple):
    """What the journal of a dead process held."""

    recorder_id: bytes
    began_us: int
    counts: dict[str, int]
    ended: list[Call]
    interrupted: list[Call]
    """Streams that had begun and never ended."""
    damaged: list[tuple[str, bytes]]
    """Why, and the bytes: records that could not be read."""
    segments: list[tuple[Path, int]]

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
    """
    _delete_unborn(folder)
    by_recorder: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        by_recorder.setdefault(path.name.split("-")[0], []).append(path)
    for paths in by_recorder.values():
        locked: list[tuple[Path, int]] = []
        for path in paths:
            fd = lock_if_dead(path)
            if fd is None:
                break
            locked.append((path, fd))
        if len(locked) == len(paths):
            yield _read(locked)
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


def _read(segments: list[tuple[Path, int]]) -> Adopted:
    recorder_id, began_us, counts = b"", 0, [0] * len(COUNTERS)
    begun: dict[bytes, Call] = {}
    ended: dict[bytes, Call] = {}
    damaged: list[tuple[str, bytes]] = []
    for path, _ in segments:
        data = path.read_bytes()
        if len(data) < HEAD_BYTES or data[:8] != MAGIC:
            if data.strip(b"\0"):
                damaged.append((f"{path.name} has no head of a journal", data))
            continue
        _, version, head_bytes, _, began_us, recorder_id = HEAD.unpack_from(data)
        if version > VERSION:
            damaged.append((f"{path.name} has version {version}, newer than {VERSION}", data))
            continue
        found = struct.unpack_from(f"<{len(COUNTERS)}Q", data, COUNTERS_AT)
        counts = [max(pair) for pair in zip(counts, found, strict=True)]
        for kind, payload in _records(data, head_bytes, damaged):
            try:
                call = decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                damaged.append((f"not a call: {exc}", bytes(payload)))
                continue
            if kind == END:
                ended[call.id] = call
            elif kind == BEGIN:
                begun[call.id] = call
    return Adopted(
        recorder_id=recorder_id,
        began_us=began_us,
        counts=dict(zip(COUNTERS, counts, strict=True)),
        ended=list(ended.values()),
        interrupted=[call for id_, call in begun.items() if id_ not in ended],
        damaged=damaged,
        segments=segments,
    )


def _records(data: bytes, at: int, damaged: list[tuple[str, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The records that are whole.

    What a crash cut off at the end is no damage: its caller had not been answered yet. After
    damage in the middle the next record is looked for, and what lies between is kept.
    """
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
