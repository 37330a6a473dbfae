"""What is not read again, since it is like an earlier event, would have said nothing new."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.capture import Capture
from tachograph.core.likeness import Likeness
from tachograph.openrouter.answer import Answer
from tachograph.openrouter.chat import ChatAnswer
from tachograph.openrouter.messages import MessagesAnswer

TEXTS = st.sampled_from(
    [" word", "", '"', "a\\", "\n", "ä😀", '","finish_reason":"stop', '"content":"', "}\n\ndata: {"]
)


def chunk(**members: Any) -> dict[str, Any]:
    delta = {name: members.pop(name) for name in ("content", "reasoning") if name in members}
    choice = {"index": 0, "delta": delta, "finish_reason": members.pop("finish_reason", None)}
    return {"id": "gen-1", "model": "a/b", "choices": [choice], **members}


CHUNKS = st.one_of(
    st.builds(lambda text: chunk(content=text), TEXTS),
    st.builds(lambda text: chunk(content="", reasoning=text), TEXTS),
    st.builds(lambda text, n: chunk(content=text, created=n), TEXTS, st.integers(0, 1)),
    st.builds(
        lambda text, end: chunk(content=text, finish_reason=end),
        TEXTS,
        st.sampled_from(["stop", "length"]),
    ),
    st.builds(
        lambda text, code: chunk(content=text, error={"code": code}),
        TEXTS,
        st.sampled_from([502, 429]),
    ),
    st.builds(lambda n: chunk(content=" word", usage={"cost": n}), st.integers(0, 2)),
)
DELTAS = st.builds(
    lambda text: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}},
    TEXTS,
)
ENDS = st.builds(
    lambda n: {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": n},
    },
    st.integers(0, 2),
)


def events(of: list[dict[str, Any]], ascii_only: bool) -> list[bytes]:
    return [f"data: {json.dumps(e, ensure_ascii=ascii_only)}\n\n".encode() for e in of]


def read(answer: Answer, pieces: list[bytes], *, whole: bool) -> dict[str, Any]:
    answer.facts_only = not whole
    capture = Capture(answer)
    capture.head("text/event-stream", "")
    for now, piece in enumerate(pieces):
        capture.feed(piece, now)
    capture.finish()
    assert capture.first_token_ns is None or capture.first_token_ns < len(pieces)
    return {**vars(answer), "facts_only": None, "first": capture.first_token_ns}


@given(st.lists(CHUNKS, max_size=40), st.booleans())
def test_chunks(of: list[dict[str, Any]], ascii_only: bool) -> None:
    pieces = events(of, ascii_only)
    assert read(ChatAnswer(), pieces, whole=False) == read(ChatAnswer(), pieces, whole=True)


@given(st.lists(DELTAS | ENDS, max_size=40), st.booleans())
def test_messages(of: list[dict[str, Any]], ascii_only: bool) -> None:
    pieces = events(of, ascii_only)
    assert read(MessagesAnswer(), pieces, whole=False) == read(MessagesAnswer(), pieces, whole=True)


@given(st.lists(CHUNKS, max_size=20), st.data())
def test_cut_anywhere(of: list[dict[str, Any]], data: st.DataObject) -> None:
    stream = b"".join(events(of, True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(ChatAnswer(), pieces, whole=False) == read(ChatAnswer(), pieces, whole=True)


def test_a_stream_of_words_is_hardly_read() -> None:
    class Counting(ChatAnswer):
        read = 0

        def event(self, data: bytes) -> None:
            self.read += 1
            super().event(data)

    answer = Counting()
    read(answer, events([chunk(content=f" word {n}") for n in range(1000)], True), whole=False)
    assert answer.chunks == 1000
    assert answer.read < 5


def test_fewer_and_fewer_are_looked_at_where_each_differs() -> None:
    likeness = Likeness()
    learnt = set()
    for n in range(1000):
        likeness.learn(f'data: {{"n":{n},"content":"word"}}\n\n'.encode())
        learnt.add(likeness.head)
    assert len(learnt) < 30


def test_the_last_choice_to_end_says_how() -> None:
    """Of two choices that end in turn, in events that bring content as well."""
    ends = ["stop", "stop", "length", "stop"]
    pieces = events(
        [chunk(content=" word"), *(chunk(content=" a", finish_reason=e) for e in ends)], True
    )
    for whole in (True, False):
        assert read(ChatAnswer(), pieces, whole=whole)["finish_reason"] == "stop"
