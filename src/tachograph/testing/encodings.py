"""Compressing an answer piece by piece, as a server does that flushes: gzip, deflate, br, zstd."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, NamedTuple

Coding = Literal["gzip", "deflate", "br", "zstd"]


class Compressor(NamedTuple):
    piece: Callable[[bytes], bytes]
    """Compresses a piece, so far that it can be read on its own arrival."""
    end: Callable[[], bytes]


def compressor(coding: Coding) -> Compressor:
    """A compressor of this coding; ImportError, for br and zstd, says what to install."""
    if coding == "br":
        brotli = _library("brotli", "brotli").Compressor()
        return Compressor(lambda piece: brotli.process(piece) + brotli.flush(), brotli.finish)
    if coding == "zstd":
        zstd = _library("zstandard", "zstandard")
        stream = zstd.ZstdCompressor().compressobj()
        block = zstd.COMPRESSOBJ_FLUSH_BLOCK
        return Compressor(lambda piece: stream.compress(piece) + stream.flush(block), stream.flush)
    wbits = zlib.MAX_WBITS + (16 if coding == "gzip" else 0)
    deflate = zlib.compressobj(wbits=wbits)
    return Compressor(
        lambda piece: deflate.compress(piece) + deflate.flush(zlib.Z_SYNC_FLUSH), deflate.flush
    )


def _library(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{error}: to send this coding, pip install {package}") from error
