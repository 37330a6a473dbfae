"""A request's facts: by an allow-list, at every depth, so that no content gets in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.openrouter.request_facts import RequestFacts
from tachograph.openrouter.requests import _known, read_form, read_request

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
SECRET = "Correct-Horse"


def read(request: Any) -> RequestFacts:
    facts = read_request(request if isinstance(request, bytes) else json.dumps(request).encode())
    assert facts is not None
    return facts


def parameters(request: Any) -> Any:
    text = read(request).as_fields()[-1]
    return None if text is None else json.loads(text)


def test_a_request() -> None:
    request = {
        "model": "openai/gpt-5-mini",
        "messages": [{"role": "user", "content": SECRET}],
        "stream": True,
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 1,
        "reasoning": {"effort": "high", "max_tokens": 10, "note": SECRET},
        "response_format": {"type": "json_schema", "json_schema": {"name": SECRET}},
        "tools": [{"type": "function", "function": {"name": SECRET}}] * 2,
        "user": "u-7",
        "session_id": "s-1",
        "seed": 7,
        "models": ["a/b", "c/d"],
        "plugins": [{"id": "web", "search_prompt": SECRET}],
        "provider": {
            "order": ["openai"],
            "sort": {"by": "price", "note": SECRET},
            "options": {"openai": {"x": SECRET}},
            "max_price": {"prompt": 1.5},
        },
        "metadata": {"a": SECRET},
        "trace": {"trace_id": SECRET},
        "stop": [SECRET],
    }
    facts = read(request)
    assert facts.as_fields()[:-1] == (
        "openai/gpt-5-mini",
        True,
        100,
        0.5,
        1.0,
        "high",
        "json_schema",
        2,
    )
    assert (facts.user_id, facts.session_id) == ("u-7", "s-1")
    assert parameters(request) == {
        "reasoning": {"max_tokens": 10},
        "seed": 7,
        "models": ["a/b", "c/d"],
        "plugins": ["web"],
        "provider": {"order": ["openai"], "sort": {"by": "price"}, "max_price": {"prompt": 1.5}},
        "other_fields": ["metadata", "stop", "trace"],
    }


def test_a_form() -> None:
    fields = [("model", "openai/whisper-1"), ("temperature", "0.5"), ("stream", "true")]
    facts = read_form([*fields, ("prompt", SECRET), ("file", b"ID3"), ("language", "en")])
    assert (facts.model, facts.temperature, facts.stream) == ("openai/whisper-1", 0.5, True)
    assert facts.as_fields()[-1] == '{"other_fields":["language"]}'


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_limit_under_whichever_name(name: str) -> None:
    assert read({name: 5}).max_tokens == 5
    assert read({name: None}).max_tokens is None
    assert read({name: 10**20}).max_tokens is None
    assert parameters({name: 10**20}) == {name: 10**20}


def test_a_text_that_is_no_format() -> None:
    assert read({"text": SECRET}).response_format is None


def test_a_response_format_of_responses() -> None:
    assert read({"text": {"format": {"type": "json_object"}}}).response_format == "json_object"


names = st.sampled_from(
    [
        "text",
        "provider",
        "reasoning",
        "thinking",
        "usage",
        "models",
        "sort",
        "max_price",
        "metadata",
    ]
) | st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
contents = st.recursive(
    st.just(f"{SECRET}, {SECRET}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
)


@given(st.dictionaries(names, contents, max_size=6))
def test_no_content_gets_in_wherever_it_stands(request: dict[str, Any]) -> None:
    facts = read(request)
    said = {n: v for n, v in vars(facts).items() if n not in ("session_id", "user_id", "model")}
    assert SECRET not in repr(said)


@given(
    st.from_regex(r"[a-z]{3,12}_of_tomorrow", fullmatch=True),
    st.sampled_from(["provider", "reasoning", "thinking", "image_config", "usage", None]),
)
def test_a_field_that_is_invented_tomorrow_says_its_name_at_the_most(
    name: str, inside: str | None
) -> None:
    field = {name: SECRET}
    text = read(field if inside is None else {inside: field}).as_fields()[-1] or ""
    assert SECRET not in text
    assert (name in text) == (inside is None)


@pytest.mark.parametrize(
    "name", ["model", "user", "session_id", "preset", KEY[:40], "reasoning_effort"]
)
def test_a_key_is_taken_out(name: str) -> None:
    for value in (KEY, f"x-{KEY}", [KEY]):
        facts = read({name: value, "provider": {"order": [KEY]}, "models": [KEY]})
        said = (facts.as_fields(), facts.model, facts.user_id, facts.session_id)
        assert "0123456789" not in repr(said)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--boundary\r\n",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"a":' + b"[" * 100_000,
        b"{" * 10**5,
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    assert read_request(body) is None


@pytest.mark.parametrize("mark", ["sk-or-v1-", "gsk_", "AIza", "xai-", "hf_"])
def test_a_key_is_no_word(mark: str) -> None:
    key = f"{mark}{'0123456789abcdef' * 2}"
    facts = read_request(json.dumps({"reasoning_effort": key, "response_format": key}).encode())
    assert facts is not None
    assert (facts.reasoning_effort, facts.response_format) == (None, None)


def test_half_an_emoji_does_not_hide_the_rest() -> None:
    facts = read(rb'{"model":"a/b","messages":[{"content":"\ud83d"}],"user":"u\ud83d"}')
    assert facts.model == "a/b"
    assert facts.user_id == "u�"


ODD: list[Any] = [None, 1, -1.5, 1e300, 10**400, True, "x", "", [], [1], {}, {"a": {"b": [{}]}}]


@pytest.mark.parametrize("odd", ODD, ids=lambda o: repr(o)[:20])
@pytest.mark.parametrize(
    "name",
    [
        "model",
        "stream",
        "max_tokens",
        "temperature",
        "tools",
        "reasoning",
        "user",
        "seed",
        "provider",
        "response_format",
        "text",
        "plugins",
        "reasoning_effort",
        "stop",
    ],
)
def test_odd_values_cost_only_themselves(name: str, odd: Any) -> None:
    facts = read({name: odd, "top_p": 0.5})
    assert facts.top_p == 0.5
    facts.as_fields()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"model": "a/b", "messages": "ä"}, ensure_ascii=False).encode("utf-16"),
        b'{"model":"a/b"}'.decode().encode("utf-16-be"),
        b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b',"model":"a/b"}',
    ],
    ids=["utf-16", "utf-16-be", "deep"],
)
def test_bodies_that_few_would_send(body: bytes) -> None:
    facts = read(body)
    assert (facts.model, facts.other) == ("a/b", None)


SIMPLE: list[Any] = [None, True, False, 0, 1, 2**63, -(2**63), 0.5, 1e308, [], [{}], {}, [1, 2]]
TEXTS = ["", "a/b:free", "x" * 300, KEY, "\0ä"]
USUAL = ["model", "messages", "stream", "max_tokens", "temperature", "top_p", "tools", "user"]
ALL = (*(n for n in RequestFacts.__annotations__ if not n.startswith("_")),)

REQUESTS = st.dictionaries(
    st.sampled_from([*USUAL, "session_id", "seed", "invented"]), st.sampled_from([*SIMPLE, *TEXTS])
)


@given(st.lists(REQUESTS, min_size=2, max_size=2))
def test_what_is_remembered_of_like_requests_is_what_is_read(pair: list[dict[str, Any]]) -> None:
    _known.clear()
    alone = []
    for request in pair:
        alone.append([getattr(read(request), name) for name in ALL])
        _known.clear()
    for _ in range(2):
        for request, facts in zip(pair, alone, strict=True):
            assert [getattr(read(request), name) for name in ALL] == facts


def test_one_user_is_not_taken_for_another() -> None:
    request = {"model": "a/b", "messages": [], "seed": 7, "user": "u-1", "session_id": "s-1"}
    first, second = read(request), read({**request, "user": "u-2", "session_id": None})
    third = read({"model": "a/b", "messages": [], "seed": 7})
    assert (first.user_id, first.session_id) == ("u-1", "s-1")
    assert (second.user_id, second.session_id) == ("u-2", None)
    assert (third.user_id, third.session_id) == (None, None)
    odd = read({**request, "user": 5})
    assert odd.as_fields()[-1] == '{"seed":7,"other_fields":["user"]}'
    assert first.as_fields() == second.as_fields() == third.as_fields()


def test_what_is_remembered_is_bounded_and_holds_no_content() -> None:
    _known.clear()
    for n in range(1000):
        read({"model": f"m/{n}", "messages": [{"content": SECRET}], "invented": SECRET})
    assert 0 < len(_known) <= 256
    assert SECRET not in repr(list(_known))
    _known.clear()
    assert read({"model": "a/b", "tools": [{"name": "x" * 20_000}]}).tools == 1
    assert not _known
