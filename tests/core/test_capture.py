"""The same bytes give the same facts, cut anywhere and coded anyhow, in bounded memory."""

import gzip
import tracemalloc

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.capture import _UNSAID, Capture

EVENTS = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"role":"assistant","content":""}\n\n'
    + 'data: {"content":"ä😀"}\n\n'.encode()
    + b'data: {"usage":{"cost":1}}\n\ndata: [DONE]\n\n'
)
BODY = b"\n         \n" * 33 + b'{"id":"gen-1","usage":{"cost":1}}'


class Heard:
    """A reader that keeps what it is given."""

    facts_only = False

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.bodies: list[bytes] = []
        self.has_token = False
        self.chunks = 0

    def event(self, data: bytes) -> None:
        self.chunks += 1
        self.events.append(data)
        self.has_token = self.has_token or "ä".encode() in data

    def body(self, data: bytes) -> None:
        self.bodies.append(data)


def captured(pieces: list[bytes], content_type: str, coding: str = "") -> tuple[Capture, Heard]:
    heard = Heard()
    capture = Capture(heard)
    capture.head(content_type, coding)
    for now, piece in enumerate(pieces):
        capture.feed(piece, now)
    capture.finish()
    return capture, heard


@given(st.lists(st.integers(0, len(EVENTS)), max_size=20).map(sorted))
def test_a_stream_cut_anywhere(at: list[int]) -> None:
    pieces = [EVENTS[a:b] for a, b in zip([0, *at], [*at, len(EVENTS)], strict=True)]
    capture, heard = captured(pieces, "text/event-stream; charset=utf-8")
    assert [event[:6] for event in heard.events] == [b'{"role', b'{"cont', b'{"usag', b"[DONE]"]
    assert capture.response_bytes == len(EVENTS)
    ends = EVENTS.index(b'\n\ndata: {"usage') + 1
    assert capture.first_token_ns is not None
    first = sum(len(piece) for piece in pieces[: capture.first_token_ns + 1])
    assert first >= ends


@pytest.mark.parametrize("coding", ["", "gzip", "br", "identity"])
@pytest.mark.parametrize("step", [1, 10, 10**6])
def test_a_body_with_keep_alive_white_space(coding: str, step: int) -> None:
    wire = {"gzip": gzip.compress(BODY), "br": brotli.compress(BODY)}.get(coding, BODY)
    pieces = [wire[i : i + step] for i in range(0, len(wire), step)]
    capture, heard = captured(pieces, "application/json", coding)
    assert [body.strip() for body in heard.bodies] == [BODY.strip()]
    assert capture.response_bytes == len(wire)
    assert capture.first_token_ns is None


def test_bytes_that_are_not_of_their_coding() -> None:
    capture, heard = captured([b"no gzip", b"at all"], "application/json", "gzip")
    assert capture.undecodable is not None
    assert heard.bodies == []
    assert capture.response_bytes == 13


def test_audio_is_counted_and_not_kept() -> None:
    capture, heard = captured([b"ID3" * 1000] * 10, "audio/mpeg")
    assert capture.binary
    assert capture.response_bytes == 30_000
    assert heard.bodies == []


def test_memory_is_bounded_however_long_the_answer() -> None:
    capture = Capture(Heard())
    capture.head("application/json", "")
    capture.feed(b'{"images":["', 0)
    tracemalloc.start()
    for _ in range(200):
        capture.feed(b"A" * 65_536, 0)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000_000


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", _UNSAID])
@pytest.mark.parametrize("step", [1, 10**6])
def test_events_under_another_head(content_type: str, step: int) -> None:
    pieces = [EVENTS[i : i + step] for i in range(0, len(EVENTS), step)]
    capture, heard = captured(pieces, content_type)
    assert capture.streamed
    assert [event[:6] for event in heard.events] == [b'{"role', b'{"cont', b'{"usag', b"[DONE]"]


@pytest.mark.parametrize("content_type", ["text/event-stream", _UNSAID, "text/html", ""])
def test_json_under_another_head(content_type: str) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        capture, heard = captured([mark + BODY.strip()], content_type)
        assert not capture.streamed
        assert heard.bodies == [BODY.strip()]


def test_bytes_of_no_kind_are_not_kept() -> None:
    capture, heard = captured([b"\x00\x01PCM" * 100], _UNSAID)
    assert capture.binary
    assert heard.bodies == []


@pytest.mark.parametrize("kind", ["application/json", "text/plain", _UNSAID, ""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_a_first_word_that_is_cut_in_two(kind: str, mark: bytes) -> None:
    """The head says nothing of a stream: only the first word does."""
    for body, events, bodies in (
        (mark + b"event: x\ndata: a\n\n", [b"a"], []),
        (mark + b"data: a\n\n", [b"a"], []),
        (mark + b'{"a":1}', [], [b'{"a":1}']),
    ):
        for at in range(len(body) + 1):
            _, heard = captured([body[:at], body[at:]], kind)
            assert (heard.events, heard.bodies) == (events, bodies)
        _, heard = captured([bytes([byte]) for byte in body], kind)
        assert (heard.events, heard.bodies) == (events, bodies)


@pytest.mark.parametrize("body", [b"d", b"dat", b"\xef", b"e"])
def test_a_body_that_ends_with_its_first_word(body: bytes) -> None:
    assert captured([body], "application/json")[1].bodies == [body]
    assert captured([body], "text/event-stream")[1].events == []
