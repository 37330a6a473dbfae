"""Every failure by name: what a plain HTTP client gets to see of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph.testing import KINDS, FakeOpenRouter, failure

STATUS = {
    "invalid_request": 400,
    "authentication": 401,
    "insufficient_credits": 402,
    "in_flight_budget": 402,
    "moderation": 403,
    "not_found": 404,
    "context_length_exceeded": 400,
    "rate_limited": 429,
    "upstream_rate_limited": 429,
    "provider_unavailable": 502,
    "provider_overloaded": 503,
    "edge_error": 502,
}
BROKEN = ("disconnect", "reset", "truncated_json")


def get(server: FakeOpenRouter, kind: Any) -> httpx.Response:
    server.script(failure(kind))
    return httpx.get(server.base_url, trust_env=False)


def events(response: httpx.Response) -> list[Any]:
    data = [e[6:] for e in response.text.split("\n\n") if e.startswith("data: ")]
    return [e if e == "[DONE]" else json.loads(e) for e in data]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in BROKEN])
def test_the_status_is_its_own_or_200(fake_openrouter: FakeOpenRouter, kind: str) -> None:
    response = get(fake_openrouter, kind)
    assert response.status_code == STATUS.get(kind, 200)
    if kind in STATUS and kind != "edge_error":
        assert response.json()["error"]["code"] == response.status_code
        assert response.headers["x-generation-id"].startswith("gen-")


@pytest.mark.parametrize("kind", BROKEN)
def test_the_connection_breaks(fake_openrouter: FakeOpenRouter, kind: str) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        get(fake_openrouter, kind)


def test_the_edge_speaks_html(fake_openrouter: FakeOpenRouter) -> None:
    response = get(fake_openrouter, "edge_error")
    assert response.headers["content-type"].startswith("text/html")


def test_retry_after_is_sent_where_it_was_seen_or_asked_for(
    fake_openrouter: FakeOpenRouter,
) -> None:
    assert get(fake_openrouter, "in_flight_budget").headers["retry-after"] == "120"
    assert "retry-after" not in get(fake_openrouter, "upstream_rate_limited").headers
    fake_openrouter.script(failure("rate_limited", retry_after=2))
    assert httpx.get(fake_openrouter.base_url).headers["retry-after"] == "2"


def test_an_error_can_hide_in_an_answer_of_status_200(fake_openrouter: FakeOpenRouter) -> None:
    assert get(fake_openrouter, "error_in_answer").json()["error"]["code"] == 502
    choice = get(fake_openrouter, "error_in_choice").json()["choices"][0]
    assert choice["finish_reason"] == "error"
    assert choice["error"]["code"] == 502
    assert get(fake_openrouter, "empty_body").content == b""


def test_a_stream_can_fail_in_four_ways_after_its_first_tokens(
    fake_openrouter: FakeOpenRouter,
) -> None:
    def last(kind: str) -> Any:
        first, *_, end, done = events(get(fake_openrouter, kind))
        assert first["choices"][0]["delta"]["content"]
        assert done == "[DONE]"
        return end

    documented = last("stream_error")
    assert documented["error"]["code"] == 502
    assert documented["choices"][0]["finish_reason"] == "error"
    bare = last("stream_error_without_choices")
    assert bare["error"]
    assert bare["choices"] == []
    malformed = last("stream_malformed_function_call")
    assert "error" not in malformed
    assert malformed["choices"][0]["native_finish_reason"] == "MALFORMED_FUNCTION_CALL"
    limit = last("stream_token_limit")
    assert limit["error"]["code"] == 400
    assert limit["usage"]
    assert limit["choices"][0]["finish_reason"] is None


def test_a_stream_can_end_without_an_end(fake_openrouter: FakeOpenRouter) -> None:
    assert "[DONE]" not in events(get(fake_openrouter, "stream_cut"))


def test_the_page_names_every_failure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
