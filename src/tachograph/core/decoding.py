"""Content codings undone piece by piece, on a copy of the bytes: gzip, deflate, br, zstd.

The libraries for br and zstd are taken where they are installed. That is enough: a client asks a
server for these codings only where it can undo them itself, by the same libraries.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

PIECE_BYTES = 1 << 20
"""Inflated bytes come in pieces of at most this size."""


class UndecodableError(ValueError):
    """The bytes are not of the coding that the head named, or its library is not installed."""


class Decoder:
    """Undoes the codings of a `Content-Encoding` header, last one first.

    Names that are no coding are passed over, as HTTP clients do.
    """

    def __init__(self, content_encoding: str) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        self._steps = [_STEPS[name]() for name in reversed(names) if name in _STEPS]

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The plain bytes that this piece gives; raises UndecodableError."""
        return self._run(piece, 0)

    def _run(self, piece: bytes, depth: int) -> Iterator[bytes]:
        if depth == len(self._steps):
            if piece:
                yield piece
            return
        try:
            for part in self._steps[depth](piece):
                yield from self._run(part, depth + 1)
        except UndecodableError:
            raise
        except Exception as exc:  # each library has an error class of its own
            raise UndecodableError(f"the body is not what its coding says: {exc}") from exc


_MEMBER = b"\x1f\x8b"
"""How a member of gzip begins."""

_Step = Callable[[bytes], Iterator[bytes]]


def _inflate(wbits: int) -> _Step:
    inflater = zlib.decompressobj(wbits)

    def step(piece: bytes) -> Iterator[bytes]:
        nonlocal inflater
        while piece:
            part = inflater.decompress(piece, PIECE_BYTES)
            if part:
                yield part
            piece = inflater.unconsumed_tail
            if not piece and inflater.eof:
                piece = inflater.unused_data
                if not piece.startswith(_MEMBER):
                    return  # bytes behind the end are nobody's
                inflater = zlib.decompressobj(wbits)  # gzip allows one member after another

    return step


def _gzip() -> _Step:
    return _inflate(16 + zlib.MAX_WBITS)


def _deflate() -> _Step:
    """RFC 9110 means zlib's format; some servers send the bare stream, told by its first byte."""
    inner: _Step | None = None

    def step(piece: bytes) -> Iterator[bytes]:
        nonlocal inner
        if inner is None and piece:
            zlib_format = piece[0] & 0x0F == 8 and piece[0] >> 4 <= 7
            inner = _inflate(zlib.MAX_WBITS if zlib_format else -zlib.MAX_WBITS)
        return inner(piece) if inner else iter(())

    return step


def _brotli() -> _Step:
    decoder = _library("br", "brotli", "brotlicffi").Decompressor()
    process = getattr(decoder, "process", None) or decoder.decompress
    return lambda piece: iter((process(piece),))


def _zstd() -> _Step:
    """Frames may follow each other: some servers end one with each flush."""
    library = _library("zstd", "compression.zstd", "backports.zstd", "zstandard")

    def begin() -> Any:
        made = library.ZstdDecompressor()
        return made.decompressobj() if hasattr(made, "decompressobj") else made

    frame = begin()

    def step(piece: bytes) -> Iterator[bytes]:
        nonlocal frame
        while piece:
            if frame.eof:
                frame = begin()
            yield frame.decompress(piece)
            piece = frame.unused_data if frame.eof else b""

    return step


def _library(coding: str, *names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise UndecodableError(
        f"a body came in {coding!r} and none of {', '.join(names)} is installed to read it"
    )


_STEPS: dict[str, Callable[[], _Step]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
