"""A stream's content is put together as its plain answer would have had it, in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.sse import EventStream
from tachograph.openrouter.assembly import ROOM, assembly_for
from tachograph.openrouter.endpoints import Dialect
from tachograph.openrouter.masking import Masking
from tachograph.openrouter.readers import reader_for
from tachograph.testing import Chat


def put_together(dialect: Dialect, events: list[Any]) -> tuple[Any, dict[str, int]]:
    masking = Masking()
    assembly = assembly_for(reader_for(dialect), masking)
    for event in events:
        assembly.event(event if isinstance(event, bytes) else json.dumps(event).encode())
    return assembly.answer(), dict(masking.left_out)


def test_a_chat_stream_is_what_the_plain_answer_would_have_been() -> None:
    chat = Chat("one two three", reasoning="let me think", tool_calls={"find": '{"q": "x y"}'})
    events = EventStream().feed(chat.stream().body)
    answer, left_out = put_together("chat", list(events))
    (choice,) = answer["choices"]
    plain = chat.completion()["choices"][0]["message"]
    message = choice["message"]
    assert message["content"] == plain["content"]
    assert message["reasoning"] == plain["reasoning"]
    assert message["role"] == "assistant"
    (call,) = message["tool_calls"]
    assert call["function"] == plain["tool_calls"][0]["function"]
    assert choice["finish_reason"] == "stop"
    assert left_out == {}


def delta(index: int = 0, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": said}]}


def test_several_choices_and_tool_calls_grow_beside_each_other() -> None:
    def call(index: int, arguments: str, **said: Any) -> dict[str, Any]:
        function = {"arguments": arguments, **said}
        return delta(tool_calls=[{"index": index, "function": function}])

    answer, _ = put_together(
        "chat",
        [
            delta(0, content="a"),
            delta(1, content="x"),
            delta(0, content="b"),
            call(0, "1", name="f"),
            call(1, "2", name="g"),
            call(0, "3"),
        ],
    )
    first, second = (choice["message"] for choice in answer["choices"])
    assert (first["content"], second["content"]) == ("ab", "x")
    assert [tool["function"] for tool in first["tool_calls"]] == [
        {"name": "f", "arguments": "13"},
        {"name": "g", "arguments": "2"},
    ]


def test_images_and_speech_of_a_stream_are_masked() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer, left_out = put_together(
        "chat",
        [
            delta(images=[image]),
            delta(audio={"data": "A" * 300, "transcript": "hel"}),
            delta(audio={"data": "A" * 300, "transcript": "lo"}),
        ],
    )
    (choice,) = answer["choices"]
    assert choice["message"]["images"][0]["image_url"] == {"url": "[image/png, 26 characters]"}
    assert choice["message"]["audio"] == {"data": "[audio, 600 characters]", "transcript": "hello"}
    assert left_out == {"media": 2}


def test_responses_left_early_have_what_came() -> None:
    item = {"type": "message", "role": "assistant", "content": []}
    call = {"type": "function_call", "name": "find", "call_id": "c1", "arguments": ""}
    added = "response.output_item.added"
    answer, _ = put_together(
        "responses",
        [
            {"type": "response.created", "response": {"status": "in_progress", "output": []}},
            {"type": added, "output_index": 0, "item": item},
            {"type": "response.output_text.delta", "output_index": 0, "delta": "one "},
            {"type": "response.output_text.delta", "output_index": 0, "delta": "two"},
            {"type": added, "output_index": 1, "item": call},
            {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
        ],
    )
    assert answer == {
        "status": "in_progress",
        "output": [
            {"type": "message", "role": "assistant", "text": "one two"},
            {"type": "function_call", "name": "find", "call_id": "c1", "arguments": "{}"},
        ],
    }


def test_responses_that_completed_have_their_own_output() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "one two"}]}]
    answer, _ = put_together(
        "responses",
        [
            {"type": "response.output_text.delta", "output_index": 0, "delta": "one "},
            {"type": "response.completed", "response": {"status": "completed", "output": output}},
        ],
    )
    assert answer == {"status": "completed", "output": output}


def test_messages() -> None:
    def block(index: int, **started: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": started}

    def grows(index: int, **delta: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    answer, _ = put_together(
        "messages",
        [
            {"type": "message_start", "message": {"role": "assistant", "usage": {}}},
            block(0, type="thinking", thinking=""),
            grows(0, type="thinking_delta", thinking="hm"),
            block(1, type="text", text=""),
            grows(1, type="text_delta", text="one "),
            grows(1, type="text_delta", text="two"),
            block(2, type="tool_use", id="t1", name="find", input={}),
            grows(2, type="input_json_delta", partial_json='{"q":'),
            grows(2, type="input_json_delta", partial_json="1}"),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
            b"[DONE]",
        ],
    )
    assert answer == {
        "role": "assistant",
        "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "one two"},
            {"type": "tool_use", "id": "t1", "name": "find", "input": '{"q":1}'},
        ],
    }


def test_an_error_in_mid_stream_is_kept_beside_what_came() -> None:
    error = {"code": 502, "message": "gone"}
    answer, _ = put_together("chat", [delta(content="half"), {"error": error, "choices": []}])
    assert answer["error"] == error
    assert answer["choices"][0]["message"]["content"] == "half"


@pytest.mark.parametrize(
    "event",
    [
        delta(content="word " * 100),
        {"choices": [{"index": n, "delta": {"content": "x"}} for n in range(50)]},
        delta(tool_calls=[{"index": n, "function": {"arguments": "x"}} for n in range(50)]),
        delta(audio={"data": "A" * 1000}),
    ],
)
def test_memory_is_bounded(event: dict[str, Any]) -> None:
    masking = Masking()
    assembly = assembly_for(reader_for("chat"), masking)
    tracemalloc.start()
    try:
        for _ in range(3000):
            for choice in event["choices"]:
                choice["index"] += 50
            assembly.event(json.dumps(event).encode())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * ROOM
    assert len(json.dumps(assembly.answer())) < 4 * ROOM


NAMES = [
    *("choices", "delta", "index", "content", "tool_calls", "images", "audio", "data", "function"),
    *("type", "item", "response", "output", "error", "message", "content_block", "text"),
]


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
@given(
    events=st.lists(
        st.binary(max_size=40)
        | st.recursive(
            st.none() | st.text(max_size=5) | st.integers(0, 3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(NAMES) | st.just("type"),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=20,
        ),
        max_size=8,
    )
)
def test_nothing_that_comes_is_an_error(dialect: Dialect, events: list[Any]) -> None:
    answer, _ = put_together(dialect, events)
    Masking().fitted(answer)
