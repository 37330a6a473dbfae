"""Content codings, one by one and on top of each other, cut anywhere."""

import gzip
import sys
import zlib

import brotli
import pytest
import zstandard

from tachograph.core.decoding import PIECE_BYTES, Decoder, UndecodableError

DATA = bytes(range(256)) * 40 + "ä😀".encode()


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


CODED = {
    "gzip": gzip.compress(DATA),
    "x-gzip": gzip.compress(DATA[:100]) + gzip.compress(DATA[100:]),
    "deflate": zlib.compress(DATA),
    "Deflate": raw_deflate(DATA),
    "br": brotli.compress(DATA),
    "zstd": zstandard.compress(DATA),
    "Zstd": b"".join(zstandard.compress(DATA[i : i + 999]) for i in range(0, len(DATA), 999)),
    "gzip, br": brotli.compress(gzip.compress(DATA)),
    "identity": DATA,
}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_every_coding_is_undone(coding: str, step: int) -> None:
    coded = CODED[coding]
    decoder = Decoder(coding)
    pieces = [coded[i : i + step] for i in range(0, len(coded), step)]
    assert b"".join(part for piece in pieces for part in decoder.feed(piece)) == DATA


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_not_of_its_coding_is_told(coding: str) -> None:
    decoder = Decoder(coding)
    with pytest.raises(UndecodableError):
        list(decoder.feed(b"this is no compressed text at all" * 10))


def test_what_is_no_coding_is_passed_over_as_clients_do() -> None:
    assert b"".join(Decoder("utf-8, gzip").feed(CODED["gzip"])) == DATA


@pytest.mark.parametrize("step", [1, 10**6])
def test_bytes_behind_the_end_of_a_gzip_are_nobodys(step: int) -> None:
    coded = CODED["gzip"] + b"\0\0 more"
    decoder = Decoder("gzip")
    pieces = [coded[i : i + step] for i in range(0, len(coded), step)]
    assert b"".join(part for piece in pieces for part in decoder.feed(piece)) == DATA


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("brotli", "brotlicffi"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UndecodableError, match="none of brotli, brotlicffi is installed"):
        Decoder("br")


def test_a_body_that_inflates_without_end_comes_in_bounded_pieces() -> None:
    parts = list(Decoder("gzip").feed(gzip.compress(b"\0" * (5 * PIECE_BYTES))))
    assert sum(map(len, parts)) == 5 * PIECE_BYTES
    assert max(map(len, parts)) <= PIECE_BYTES
