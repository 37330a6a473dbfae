"""Answers of /messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tachograph.openrouter.failures import failure_of
from tests.openrouter.feeding import read, read_stream, said

PROVISIONAL = {"input_tokens": 7, "output_tokens": 3, "service_tier": "standard"}
USAGE = {"input_tokens": 7, "output_tokens": 32, "service_tier": "priority", "cost": 0.5}
MESSAGE = {"id": "gen-1", "type": "message", "model": "m", "provider": "P", "usage": PROVISIONAL}
FIRST = {"type": "message_start", "message": MESSAGE}
BLOCK = {"type": "content_block_start", "content_block": {"type": "text", "text": ""}}
PIECE = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}
LAST = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE}
STOP = {"type": "message_stop"}


def test_a_plain_answer() -> None:
    facts = read("messages", {**MESSAGE, "stop_reason": "tool_use", "usage": USAGE})
    assert facts["terminal"]
    assert said(facts) == {
        "response_model": "m",
        "provider": "P",
        "generation_id": "gen-1",
        "finish_reason": "tool_use",
        "service_tier": "priority",
        "usage": json.dumps(USAGE, separators=(",", ":")).encode(),
    }


def test_a_stream_with_its_stray_end() -> None:
    facts = read_stream("messages", FIRST, BLOCK, {"type": "ping"}, PIECE, LAST, STOP, b"[DONE]")
    assert (facts["chunks"], facts["has_token"], facts["terminal"]) == (6, True, True)
    assert json.loads(facts["usage"]) == USAGE
    assert facts["finish_reason"] == "end_turn"
    assert facts["service_tier"] == "priority"


def test_of_the_first_event_the_counts_of_input_count_and_those_of_output_do_not() -> None:
    facts = read_stream("messages", FIRST, BLOCK, PIECE)
    assert said(facts) == {
        "response_model": "m",
        "provider": "P",
        "generation_id": "gen-1",
        "usage": b'{"input_tokens":7}',
    }
    assert not facts["terminal"]


def test_the_stray_end_alone_ends_nothing() -> None:
    assert not read_stream("messages", FIRST, PIECE, b"[DONE]")["terminal"]


def test_the_last_of_several_usages_counts() -> None:
    early = {**LAST, "usage": {**USAGE, "cost": 0.1}, "delta": {"stop_reason": None}}
    facts = read_stream("messages", FIRST, early, LAST, STOP)
    assert json.loads(facts["usage"])["cost"] == 0.5


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        ({"type": "overloaded_error", "message": "m"}, "provider_overloaded", "overloaded_error"),
        (
            {"type": "api_error", "message": "m", "error_type": "provider_unavailable"},
            "provider_unavailable",
            "api_error",
        ),
        ({"type": "rate_limit_error", "message": "m"}, "rate_limited", "rate_limit_error"),
    ],
)
def test_errors(streamed: bool, error: dict[str, Any], word: str, code: str) -> None:
    event = {"type": "error", "error": error, "request_id": "gen-2"}
    facts = read_stream("messages", FIRST, PIECE, event) if streamed else read("messages", event)
    assert facts["failed"]
    assert failure_of(200, facts["error"], facts["error_type"]) == (word, code, "m")


@pytest.mark.parametrize(
    ("event", "is_token"),
    [
        ({**PIECE, "delta": {"type": "thinking_delta", "thinking": "a"}}, True),
        ({**PIECE, "delta": {"type": "input_json_delta", "partial_json": "{"}}, True),
        ({**PIECE, "delta": {"type": "text_delta", "text": ""}}, False),
        ({**PIECE, "delta": {"type": "signature_delta", "signature": "Eq"}}, False),
        ({**PIECE, "delta": "x"}, False),
        ({**BLOCK, "content_block": {"type": "tool_use", "name": "f", "input": {}}}, True),
        ({**BLOCK, "content_block": {"type": "redacted_thinking", "data": "Eq"}}, True),
        ({**BLOCK, "content_block": None}, False),
        (BLOCK, False),
    ],
)
def test_the_first_token(event: dict[str, Any], is_token: bool) -> None:
    assert read_stream("messages", FIRST, event)["has_token"] == is_token


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1], {"a": 1}], ids=repr)
@pytest.mark.parametrize("name", ["delta", "id", "model"])
def test_a_member_of_an_unforeseen_type_costs_only_itself(name: str, odd: Any) -> None:
    facts = read_stream("messages", FIRST, {**LAST, name: odd}, STOP)
    assert json.loads(facts["usage"]) == USAGE
    assert facts["terminal"]
