"""Failures become a few words, and messages lose what is nobody's business."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tachograph.openrouter.failures import (
    MESSAGE_CHARACTERS,
    edge_failure,
    failure_of,
    transport_failure,
)

KEY = "sk-or-v1-" + "0123456789abcdef" * 4


def word(status: int | None, **error: Any) -> str:
    return failure_of(status, json.dumps(error).encode()).error_type


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {}, "invalid_request"),
        (401, {}, "authentication"),
        (402, {}, "insufficient_credits"),
        (402, {"metadata": {"limit_source": "openrouter_in_flight_budget"}}, "in_flight_budget"),
        (402, {"metadata": {"reason": "weight_exceeds_budget"}}, "in_flight_budget"),
        (403, {"metadata": {"limit_source": "openrouter_key_limit"}}, "key_limit"),
        (403, {"metadata": {"reasons": ["x"], "flagged_input": "y"}}, "moderation"),
        (403, {"metadata": {"patterns": ["x"]}}, "guardrail"),
        (403, {}, "permission_denied"),
        (408, {}, "request_timeout"),
        (429, {"message": "Rate limit exceeded: free-models-per-day"}, "rate_limited"),
        (429, {"metadata": {"provider_name": "DeepInfra"}}, "upstream_rate_limited"),
        (429, {"message": "x is temporarily rate-limited upstream"}, "upstream_rate_limited"),
        (
            429,
            {"metadata": {"limit_source": "openrouter_free_tier_daily", "provider_name": None}},
            "rate_limited",
        ),
        (400, {"message": "maximum context length is 8 tokens"}, "context_length_exceeded"),
        (400, {"metadata": {"error_type": "invalid_prompt"}}, "invalid_prompt"),
        (500, {}, "server_error"),
        (502, {}, "provider_unavailable"),
        (524, {}, "gateway_timeout"),
        (529, {}, "provider_overloaded"),
        (418, {}, "client_error"),
        (520, {}, "edge_error"),
        (200, {"code": 502}, "provider_unavailable"),
        (200, {"code": "429"}, "rate_limited"),
        (200, {"code": "rate_limit_exceeded"}, "rate_limited"),
        (200, {"type": "overloaded_error"}, "provider_overloaded"),
        (200, {"code": "somebody_elses_word"}, "provider_error"),
        (200, {"code": 400, "message": "Token limit reached"}, "max_tokens_exceeded"),
        (None, {}, "provider_error"),
    ],
)
def test_words(status: int | None, error: dict[str, Any], expected: str) -> None:
    assert word(status, **error) == expected


ODD = [None, 1, -1.5, True, "x", [], [1], {}, {"a": 1}, 10**30]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["code", "message", "metadata", "type", "error_type"])
def test_odd_members(name: str, odd: Any) -> None:
    assert word(429, **{name: odd}) in ("rate_limited", "upstream_rate_limited")


@pytest.mark.parametrize("error", [None, b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_error_object(error: bytes | None) -> None:
    failure = failure_of(502, error)
    assert (failure.error_type, failure.error_code) == ("provider_unavailable", None)


def test_a_code_beyond_all_measure_is_no_status() -> None:
    error = json.dumps({"code": "4" * 5000}).encode()
    assert failure_of(200, error)[:2] == ("provider_error", "4" * 64)


def test_an_error_that_is_a_text() -> None:
    assert failure_of(400, b'"no such model"') == ("invalid_request", None, "no such model")


def test_messages_are_scrubbed_and_cut() -> None:
    flagged = "the flagged piece"
    message = f"{KEY} user_2abcdefgh Bearer xyz {flagged}\0 \ud83d {'long ' * 200}"
    error = {"code": f"{KEY}!", "message": message, "metadata": {"flagged_input": flagged}}
    _, code, said = failure_of(403, json.dumps(error).encode())
    assert said is not None
    assert said.startswith("[redacted] [redacted] [redacted] [flagged input]")
    assert len(said) == MESSAGE_CHARACTERS
    assert "\0" not in said
    assert said.encode()
    assert code == "[redacted]!"


def test_errors_of_the_transport() -> None:
    failure = transport_failure(httpx.ConnectTimeout(f"to {KEY}"))
    assert failure == ("connect_timeout", None, "to [redacted]")


def test_errors_of_the_edge() -> None:
    assert edge_failure(502).error_type == "edge_error"
    assert edge_failure(524).error_type == "gateway_timeout"
    assert edge_failure(403).error_type == "permission_denied"
