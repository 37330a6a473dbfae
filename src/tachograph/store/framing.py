"""The journal's format: a head and records, as bytes.

Little-endian. Head (HEAD_BYTES): magic, version, length of the head, pid, when the process began,
id of the recorder, then COUNTERS as u64 each, zeros. Record: u32 length of the payload, u32 crc32
of kind and payload, u8 kind (BEGIN, END), payload (a `Call` as a msgpack array).
"""

from __future__ import annotations

import struct
from zlib import crc32

import msgspec

from tachograph.core.records import Call

MAGIC = b"TACHOJNL"
VERSION = 1
HEAD_BYTES = 128
HEAD = struct.Struct("<8sHHIQ16s")
COUNTERS_AT = 64
COUNTERS = ("made", "journal_full", "unwritable")
"""`made`: calls that ended; the others: of these, dropped, by reason."""

RECORD = struct.Struct("<IIB")
BEGIN, END = 1, 2
KIND_CRC = {kind: crc32(bytes((kind,))) for kind in (BEGIN, END)}

_encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Call).decode
"""The Call of a payload."""


def pack(kind: int, call: Call) -> bytes:
    """The record of a call; ValueError when it has something that cannot be written."""
    payload = _encode(call)
    return RECORD.pack(len(payload), crc32(payload, KIND_CRC[kind]), kind) + payload


def record_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Kind and end of the record that begins here; None where none does, or not all of it."""
    if at + RECORD.size > len(data):
        return None
    length, crc, kind = RECORD.unpack_from(data, at)
    end = at + RECORD.size + length
    if kind not in KIND_CRC or end > len(data):
        return None
    if crc32(memoryview(data)[at + RECORD.size : end], KIND_CRC[kind]) != crc:
        return None
    return kind, end


def record_bytes(data: bytes) -> int:
    """How long the record that begins these bytes is by its own word; 0 when they do not say."""
    return RECORD.size + RECORD.unpack_from(data)[0] if len(data) >= RECORD.size else 0
