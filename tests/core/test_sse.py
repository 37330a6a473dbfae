"""Events come out the same however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.sse import LINE_BYTES, EventStream

EVENTS = [b'{"a":1}', '{"b":"ä😀"}'.encode(), b"[DONE]"]


def fed(pieces: list[bytes]) -> list[bytes]:
    stream = EventStream()
    return [event for piece in pieces for event in stream.feed(piece)] + stream.finish()


def written(ending: bytes) -> bytes:
    lines = [b": OPENROUTER PROCESSING", b"", b"event: message", b"id: 7", b"retry: 10"]
    for event in EVENTS:
        lines += [b"data: " + event, b"", b": ", b""]
    return ending.join(lines) + ending


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return places.map(
        lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
    )


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_whole_and_byte_by_byte(ending: bytes) -> None:
    data = written(ending)
    assert fed([data]) == EVENTS
    assert fed([data[i : i + 1] for i in range(len(data))]) == EVENTS


@given(st.sampled_from([b"\n", b"\r\n", b"\r"]).flatmap(lambda ending: cuts(written(ending))))
def test_cut_anywhere(pieces: list[bytes]) -> None:
    assert fed(pieces) == EVENTS


def test_data_lines_of_one_event_are_joined() -> None:
    assert fed([b"data: a\ndata:b\ndata\n\n"]) == [b"a\nb\n"]


def test_a_byte_order_mark_is_passed_over() -> None:
    stream = b"\xef\xbb\xbfdata: a\n\n"
    for at in range(len(stream)):
        assert fed([stream[:at], stream[at:]]) == [b"a"]
    assert fed([stream[i : i + 1] for i in range(len(stream))]) == [b"a"]


def test_the_last_event_counts_without_its_blank_line() -> None:
    assert fed([b"data: a\n\ndata: [DONE]"]) == [b"a", b"[DONE]"]


def test_several_events_in_one_piece_and_comments_between() -> None:
    assert fed([b"data: a\n\ndata: b\n\n: c\n\ndata: d\n\n"]) == [b"a", b"b", b"d"]


def test_a_line_too_long_to_keep_is_skimmed() -> None:
    image = b"x" * (3 * LINE_BYTES)
    data = b'data: {"images":["%b"],"finish_reason":"stop"}\n\ndata: b\n\n' % image
    pieces = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    assert fed(pieces) == [b'{"images":["..."],"finish_reason":"stop"}', b"b"]
