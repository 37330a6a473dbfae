"""What is skimmed is small, and says the same where it says anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.skim import DEPTH, KEPT_BYTES, STRING_BYTES, Skim

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=25,
)


def skimmed(pieces: list[bytes]) -> bytes | None:
    skim = Skim()
    for piece in pieces:
        skim.feed(piece)
    return skim.result()


def without_long_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {without_long_strings(k): without_long_strings(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_long_strings(v) for v in value]
    long = isinstance(value, str) and len(json.dumps(value)) - 2 > STRING_BYTES
    return "..." if long else value


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max((depth(v) for v in inner), default=0)
    return 0


@given(json_values.filter(lambda v: depth(v) <= DEPTH), st.integers(1, 7))
def test_a_small_text_stays_as_it_is_however_it_is_cut(value: Any, step: int) -> None:
    data = json.dumps(value).encode()
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert skimmed(pieces) == data


@given(json_values)
def test_what_is_nested_too_deep_leaves_valid_json(value: Any) -> None:
    data = json.dumps([[[[[[[value]]]]]]]).encode()
    result = skimmed([data])
    assert result is not None
    json.loads(result)


def test_an_image_is_left_out_and_its_neighbours_stay() -> None:
    answer = {
        "id": "gen-1",
        "choices": [{"message": {"images": ["A" * 5_000_000], "content": 'say \\"hi\\"'}}],
        "usage": {"cost": 0.03},
    }
    data = json.dumps(answer).encode()
    result = skimmed([data[i : i + 4096] for i in range(0, len(data), 4096)])
    assert result is not None
    assert json.loads(result) == without_long_strings(answer)


def test_embeddings_are_left_out_and_the_usage_stays() -> None:
    answer = {
        "data": [{"index": i, "embedding": [0.1234] * 1536} for i in range(64)],
        "usage": {"prompt_tokens": 5},
    }
    result = skimmed([json.dumps(answer).encode()])
    assert result is not None
    assert json.loads(result)["usage"] == {"prompt_tokens": 5}
    assert len(result) < 4096


@pytest.mark.parametrize("step", [1, 997, 10**9])
def test_a_member_that_is_too_large_all_the_same_is_left_out(step: int) -> None:
    results = [{"index": i, "status": [{"a": "b"}]} for i in range(20_000)]
    answer = {"id": "b", "results": results, "usage": {"cost": 1}, "more": results, "end": [1]}
    data = json.dumps(answer).encode()
    result = skimmed([data[i : i + step] for i in range(0, len(data), step)])
    assert result is not None
    assert json.loads(result) == {**answer, "results": None, "more": None}


def test_a_text_that_is_too_large_all_the_same_is_given_up() -> None:
    skim = Skim()
    for _ in range(KEPT_BYTES // 4):
        skim.feed(b'{"a":{}},')
    assert skim.result() is None


def test_how_a_choice_ended_stays_beside_its_log_probabilities() -> None:
    word = {"token": "word", "logprob": -0.1, "top_logprobs": [{"token": "w", "logprob": -1.5}] * 5}
    choice = {
        "finish_reason": "error",
        "logprobs": {"content": [word] * 3000},
        "error": {"code": 502, "metadata": {"provider_name": "P"}},
    }
    result = skimmed([json.dumps({"choices": [choice], "usage": {"cost": 1}}).encode()])
    assert result is not None
    (kept,) = json.loads(result)["choices"]
    assert kept["finish_reason"] == "error"
    assert kept["error"] == choice["error"]
