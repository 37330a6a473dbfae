"""What is kept of a prompt has no key and no image in it, fits, and is JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.openrouter.masking import CONTENT_BYTES, DEPTH, Masking

PNG = base64.b64encode(bytes(range(256)) * 4).decode()
KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def cleaned(value: Any) -> tuple[Any, dict[str, int]]:
    masking = Masking()
    return masking.clean(value), dict(masking.left_out)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (
            {"url": f"data:image/png;base64,{PNG}"},
            {"url": f"[image/png, {len(PNG) + 22} characters]"},
        ),
        (
            {"data": PNG, "format": "wav"},
            {"data": f"[wav, {len(PNG)} characters]", "format": "wav"},
        ),
        (
            {"type": "base64", "media_type": "image/jpeg", "data": "abcd"},
            {"type": "base64", "media_type": "image/jpeg", "data": "[image/jpeg, 4 characters]"},
        ),
        ({"b64_json": "abcd"}, {"b64_json": "[image, 4 characters]"}),
        ({"encrypted": PNG}, {"encrypted": f"[base64, {len(PNG)} characters]"}),
        (
            f"look: ![](data:image/gif;base64,{PNG}) nice",
            f"look: ![]([image/gif, {len(PNG) + 22} characters]) nice",
        ),
    ],
)
def test_media_are_masked_by_kind_and_length(value: Any, kept: Any) -> None:
    assert cleaned(value) == (kept, {"media": 1})


def test_an_address_of_an_image_stays() -> None:
    value = {"image_url": {"url": "https://example.com/cat.png"}}
    assert cleaned(value) == (value, {})


@pytest.mark.parametrize("secret", [KEY, "Bearer abcdef0123456789"])
def test_keys_are_taken_out_wherever_they_stand(secret: str) -> None:
    value = {"messages": [{"content": f"why does {secret} fail?"}], secret: [secret]}
    kept, left_out = cleaned(value)
    assert secret not in json.dumps(kept)
    assert kept["messages"] == [{"content": "why does [redacted] fail?"}]
    assert left_out == {"secrets": 3}


def test_an_embedding_is_its_length() -> None:
    kept, left_out = cleaned({"data": [{"embedding": [0.5] * 1536, "index": 0}]})
    assert kept == {"data": [{"embedding": "[1536 numbers]", "index": 0}]}
    assert left_out == {"numbers": 1}


def test_what_is_nested_without_end_is_left_out() -> None:
    value: Any = "deep"
    for _ in range(DEPTH + 1):
        value = [value]
    kept, left_out = cleaned(value)
    assert "[nested deeper]" in json.dumps(kept)
    assert left_out == {"depth": 1}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("aé🙂 .\n"),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("abc"), inner),
        max_leaves=30,
    )
)
def test_other_content_stays_as_it_is(value: Any) -> None:
    assert cleaned(value) == (value, {})


@given(json_values)
def test_cleaning_twice_changes_nothing(value: Any) -> None:
    masking = Masking()
    once = masking.clean(value)
    assert masking.clean(once) == once


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [{"role": "user", "content": "word " * 200_000}]},
        {"messages": [{"role": "user", "content": "word " * 100}] * 3000},
        {"messages": ["w" * 100] * 30_000},
        {"name " * 100 + str(n): 1 for n in range(3000)},
        "é" * 300_000,
    ],
)
def test_what_is_too_long_is_cut_and_still_json(value: Any) -> None:
    masking = Masking()
    text = masking.fitted(value)
    assert text is not None
    assert len(text.encode()) <= CONTENT_BYTES
    json.loads(text)
    assert masking.left_out["cut"]


def test_what_fits_is_not_cut() -> None:
    masking = Masking()
    assert masking.fitted({"a": "é"}) == '{"a":"é"}'
    assert masking.fitted(None) is None
    assert not masking.left_out


SECRET = "Ada-Lovelace"
OUTLINED = {
    "model": "a/b",
    "user": SECRET,
    "invented_tomorrow": {"type": SECRET, "content": SECRET},
    "system": [{"type": "text", "text": SECRET}],
    "messages": [
        {"role": "user", "name": SECRET, "content": [{"type": "text", "text": SECRET}]},
        {"role": "user", "content": SECRET, "metadata": {SECRET: SECRET}},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": SECRET,
                    "type": "function",
                    "function": {"name": "find_person", "arguments": f'{{"name":"{SECRET}"}}'},
                }
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "name": "find", "input": {"type": SECRET}}],
        },
        {"role": "tool", "tool_call_id": SECRET, "content": {"role": SECRET, SECRET: 1}},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "find_person", "parameters": {"properties": {SECRET: {}}}},
        }
    ],
}


def test_an_outline_has_roles_kinds_and_names_of_tools_and_no_text() -> None:
    masking = Masking()
    outline = masking.outline(masking.clean(OUTLINED))
    assert SECRET not in json.dumps(outline)
    messages = outline["messages"]
    assert [message["role"] for message in messages] == [
        "user",
        "user",
        "assistant",
        "assistant",
        "tool",
    ]
    assert messages[0]["content"] == [{"type": "text", "text": f"[{len(SECRET)} characters]"}]
    assert messages[2]["tool_calls"][0]["function"]["name"] == "find_person"
    assert messages[3]["content"][0]["name"] == "find"
    assert outline["tools"] == [{"type": "function", "function": {"name": "find_person"}}]


@given(json_values, st.text(st.characters(categories=["L"]), min_size=3))
def test_no_text_gets_into_an_outline_by_a_name_that_nobody_knows(value: Any, name: str) -> None:
    assert Masking().outline({f"x_{name}": value}) == {}
