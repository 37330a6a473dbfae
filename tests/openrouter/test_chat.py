"""Answers of /chat/completions, /completions and the endpoints that answer as plainly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.openrouter.feeding import fed, read, read_stream, said, sse

USAGE = {"prompt_tokens": 8, "completion_tokens": 2, "cost": 0.000013}
HEAD = {"id": "gen-1", "model": "openai/gpt-5-mini", "provider": "OpenAI"}


def chunk(delta: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": None}
    return {**HEAD, "choices": [choice], **more}


def end(reason: str = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {}, "finish_reason": reason, "native_finish_reason": "end_turn"}
    return {**HEAD, "choices": [choice], **more}


def test_a_plain_answer() -> None:
    facts = read("chat", {**end(), "usage": USAGE, "service_tier": "default"})
    assert facts["terminal"]
    assert said(facts) == {
        "response_model": "openai/gpt-5-mini",
        "provider": "OpenAI",
        "generation_id": "gen-1",
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "service_tier": "default",
        "usage": json.dumps(USAGE, separators=(",", ":")).encode().replace(b"1.3e-05", b"0.000013"),
    }


@pytest.mark.parametrize("choices", [[], [{"delta": {}}], end()["choices"], None])
def test_the_usage_chunk_may_have_any_choices(choices: Any) -> None:
    last = {**HEAD, "choices": choices, "usage": USAGE}
    facts = read_stream("chat", chunk({"content": "a"}), end(), last, b"[DONE]")
    assert json.loads(facts["usage"]) == USAGE
    assert facts["finish_reason"] == "stop"
    assert (facts["chunks"], facts["terminal"]) == (3, True)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning": "a"},
        {"reasoning_content": "a"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "a"}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"images": [{"image_url": {"url": "data:"}}]},
        {"refusal": "no"},
    ],
)
def test_the_first_token(delta: dict[str, Any]) -> None:
    empty = {"role": "assistant", **{name: type(value)() for name, value in delta.items()}}
    assert not read_stream("chat", chunk(empty), chunk({"content": None}))["has_token"]
    assert read_stream("chat", chunk(empty), chunk(delta))["has_token"]


def test_a_signature_is_no_token() -> None:
    detail = {"type": "reasoning.text", "text": "", "signature": "Eq"}
    assert not read_stream("chat", chunk({"reasoning_details": [detail]}))["has_token"]


def test_the_text_of_a_legacy_completion() -> None:
    piece = {**HEAD, "choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    facts = read_stream(
        "chat", piece, {**piece, "choices": [{"text": "", "finish_reason": "stop"}]}
    )
    assert facts["has_token"]
    assert facts["finish_reason"] == "stop"


def test_several_choices() -> None:
    both = [{"index": 0, "finish_reason": None}, {"index": 1, "finish_reason": "stop"}]
    late = {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    facts = read_stream("chat", chunk({"content": "a"}), {**HEAD, "choices": both}, late)
    assert facts["finish_reason"] == "length"


@pytest.mark.parametrize("before", [[], [chunk({"content": "a"})]], ids=["first", "later"])
@pytest.mark.parametrize(
    ("event", "error"),
    [
        (chunk(error={"code": 502, "message": "m"}, choices=[{"finish_reason": "error"}]), True),
        (chunk(error={"code": 502, "message": "m"}, choices=[], model=""), True),
        ({"choices": [{"finish_reason": "error", "native_finish_reason": "X"}]}, False),
        (chunk(error={"code": 400, "message": "Token limit reached"}, usage=USAGE), True),
        ({"choices": [{"error": {"code": 502, "message": "m"}, "finish_reason": "error"}]}, True),
        ({"error": "text"}, True),
    ],
)
def test_errors_in_mid_stream(before: list[Any], event: dict[str, Any], error: bool) -> None:
    facts = read_stream("chat", *before, event, b"[DONE]")
    assert facts["failed"]
    assert (facts["error"] is not None) == error
    assert (facts["usage"] is not None) == ("usage" in event)


@pytest.mark.parametrize("nothing", [None, {}, [], "", 0, "text", [1]])
def test_a_usage_that_is_none(nothing: Any) -> None:
    facts = read_stream("chat", end(usage=USAGE), end(usage=nothing))
    assert json.loads(facts["usage"]) == USAGE
    assert read("chat", end(usage=nothing))["usage"] is None


ODD = [1, -1.5, "x", True, [], {}, [None], [[1]], {"a": 1}, [{"delta": "x"}], 10**400]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["id", "model", "provider", "choices", "object", "service_tier"])
def test_a_member_of_an_unforeseen_type_costs_only_itself(name: str, odd: Any) -> None:
    event = json.dumps({**end(), name: odd, "usage": USAGE}).encode()
    for before in ([], [chunk({"content": "a"})]):
        facts = read_stream("chat", *before, event)
        assert json.loads(facts["usage"]) == USAGE
        assert facts["finish_reason"] == (None if name == "choices" else "stop")


@pytest.mark.parametrize("odd", [None, 1, "x", []], ids=repr)
def test_an_odd_choice_beside_a_good_one(odd: Any) -> None:
    choices = [odd, {"delta": odd, "finish_reason": "stop"}, {"delta": {"content": "a"}}]
    facts = read_stream("chat", {**HEAD, "choices": choices})
    assert facts["finish_reason"] == "stop"
    assert facts["has_token"]


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\ude00", rb"\ud83d\ud83d", b"\xff"])
@pytest.mark.parametrize("before", [[], [chunk({"content": "a"})]], ids=["first", "later"])
def test_half_an_emoji_does_not_hide_what_stands_beside_it(before: list[Any], half: bytes) -> None:
    event = b'{"id":"gen-1","choices":[{"delta":{"content":"%b"},"finish_reason":"stop"}],' % half
    facts = read_stream("chat", *before, event + b'"usage":{"cost":1,"note":"%b"}}' % half)
    assert facts["finish_reason"] == "stop"
    assert facts["has_token"]
    assert facts["usage"].startswith(b'{"cost":1')


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_answer(data: bytes) -> None:
    for facts in (fed("chat", "application/json", [data]), read_stream("chat", data[:999])):
        assert said(facts) == {}
        assert not facts["terminal"]


DEEP = b"[" * 5000 + b"]" * 5000


@pytest.mark.parametrize("member", ["logprobs", "choices", "usage", "error", "model"])
def test_what_is_nested_deeply_costs_only_itself(member: str) -> None:
    answer = json.dumps({**end(usage=USAGE), member: 1}).encode()
    deep = read(
        "chat", answer.replace(b'"%b": 1' % member.encode(), b'"%b":%b' % (member.encode(), DEEP))
    )
    assert deep["terminal"]
    assert deep["failed"] == (member == "error")
    assert (deep["usage"] is None) == (member == "usage")
    assert deep["generation_id"] == "gen-1"


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_codings_of_json_that_clients_read(coding: str) -> None:
    answer = json.dumps({**end(usage=USAGE), "note": "ä😀"}, ensure_ascii=False)
    assert read("chat", answer.encode(coding)) == read("chat", answer.encode())


@pytest.mark.parametrize("error", ["{}", "{ }", "null", "false", "0", '""', "[]", "[\n]"])
def test_an_error_that_says_nothing_beside_a_good_answer(error: str) -> None:
    answer = json.dumps({**end(usage=USAGE), "error": 1}).replace('"error": 1', f'"error": {error}')
    assert not read("chat", answer.encode())["failed"]
    assert not read_stream("chat", chunk({"content": "a"}), answer.encode())["failed"]
    alone = read("chat", b'{"error":%b}' % error.encode())
    assert alone["failed"] == (error in ("{}", "{ }"))
    alone = read_stream("chat", b'{"error":%b}' % error.encode(), b"[DONE]")
    assert alone["failed"] == (error in ("{}", "{ }"))


def test_keys_in_an_answer_are_taken_out() -> None:
    key = "sk-or-v1-" + "a" * 64
    answer = end(usage={"cost": 1, "note": key}, model=key, openrouter_metadata={"k": key})
    facts = read("chat", {**answer, "id": f"gen-{key}"})
    assert key not in repr({**facts, "error": None})
    assert facts["response_model"] == "[redacted]"


STREAM = sse(chunk({"content": "ä😀"}), end(), end(usage=USAGE), b"[DONE]")


@given(st.lists(st.integers(0, len(STREAM)), max_size=20).map(sorted))
def test_cut_anywhere(at: list[int]) -> None:
    pieces = [STREAM[a:b] for a, b in zip([0, *at], [*at, len(STREAM)], strict=True)]
    assert fed("chat", "text/event-stream", pieces) == fed("chat", "text/event-stream", [STREAM])
