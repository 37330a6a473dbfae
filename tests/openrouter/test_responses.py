"""Answers of /responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tachograph.openrouter.failures import failure_of
from tests.openrouter.feeding import read, read_stream, said

USAGE = {"input_tokens": 8, "output_tokens": 2, "cost": 0.5}
STARTED = {"id": "gen-1", "model": "openai/gpt-5", "status": "in_progress", "usage": None}
DONE = {**STARTED, "status": "completed", "usage": USAGE, "error": None, "service_tier": "flex"}
FIRST = {"type": "response.created", "response": STARTED}
PIECE = {"type": "response.output_text.delta", "delta": "a", "item_id": "msg_1"}


def last(kind: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": {**DONE, **more}}


def test_a_plain_answer() -> None:
    facts = read("responses", DONE)
    assert facts["terminal"]
    assert said(facts) == {
        "response_model": "openai/gpt-5",
        "generation_id": "gen-1",
        "finish_reason": "completed",
        "service_tier": "flex",
        "usage": b'{"input_tokens":8,"output_tokens":2,"cost":0.5}',
    }


def test_a_stream() -> None:
    facts = read_stream("responses", FIRST, PIECE, last(), b"[DONE]")
    assert said(facts) == said(read("responses", DONE))
    assert (facts["chunks"], facts["has_token"], facts["terminal"]) == (3, True, True)


def test_a_stream_that_was_cut_has_no_usage() -> None:
    facts = read_stream("responses", FIRST, PIECE)
    assert said(facts) == {"response_model": "openai/gpt-5", "generation_id": "gen-1"}
    assert not facts["terminal"]


def test_an_answer_that_was_too_long() -> None:
    event = last(
        "incomplete", status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )
    facts = read_stream("responses", FIRST, PIECE, event)
    assert (facts["finish_reason"], facts["terminal"]) == ("max_output_tokens", True)
    assert not facts["failed"]
    assert json.loads(facts["usage"]) == USAGE


@pytest.mark.parametrize(
    ("event", "word", "code"),
    [
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None},
            "rate_limited",
            "rate_limit_exceeded",
        ),
        ({"type": "error", "error": {"code": 429, "message": "m"}}, "rate_limited", "429"),
        (
            {"type": "error", "error": {"code": "x", "message": "m"}, "error_type": "refusal"},
            "refusal",
            "x",
        ),
        (
            last("failed", status="failed", error={"code": "server_error", "message": "m"}),
            "server_error",
            "server_error",
        ),
        (
            last("failed", status="failed", error={"code": "invalid_prompt", "message": "m"}),
            "invalid_prompt",
            "invalid_prompt",
        ),
    ],
)
def test_errors(event: dict[str, Any], word: str, code: str) -> None:
    facts = read_stream("responses", FIRST, PIECE, event)
    assert facts["failed"]
    failure = failure_of(200, facts["error"], facts["error_type"])
    assert failure == (word, code, "m")


def test_a_failure_without_an_error() -> None:
    assert read_stream("responses", last("failed", status="failed"))["failed"]
    assert read("responses", {**DONE, "status": "failed"})["failed"]


@pytest.mark.parametrize(
    ("event", "is_token"),
    [
        ({"type": "response.reasoning_summary_text.delta", "delta": "a"}, True),
        ({"type": "response.function_call_arguments.delta", "delta": "{"}, True),
        ({"type": "response.output_text.delta", "delta": ""}, False),
        ({"type": "response.output_item.added", "item": {"type": "function_call"}}, True),
        ({"type": "response.output_item.added", "item": {"type": "message"}}, False),
        ({"type": "response.output_item.added", "item": "x"}, False),
        ({"type": "response.image_generation_call.partial_image", "partial_image_b64": "A"}, True),
        ({"type": "response.in_progress", "response": STARTED}, False),
        ({"type": 1}, False),
    ],
)
def test_the_first_token(event: dict[str, Any], is_token: bool) -> None:
    assert read_stream("responses", FIRST, event)["has_token"] == is_token


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1], {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", ["incomplete_details", "id", "model", "output", "service_tier"])
def test_a_member_of_an_unforeseen_type_costs_only_itself(name: str, odd: Any) -> None:
    facts = read_stream("responses", FIRST, last(**{name: odd}))
    assert json.loads(facts["usage"]) == USAGE
    assert (facts["finish_reason"], facts["terminal"]) == ("completed", True)


def test_a_response_that_is_none_ends_all_the_same() -> None:
    facts = read_stream("responses", FIRST, {"type": "response.completed", "response": "x"})
    assert facts["terminal"]
    assert facts["usage"] is None
