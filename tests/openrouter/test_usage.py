"""A usage object becomes columns: nothing is invented, nothing that was sent is lost."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.records import Usage
from tachograph.openrouter.usage import read_usage


def read(usage: Any, path: str = "/chat/completions") -> Usage | None:
    sent = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
    return read_usage(SimpleNamespace(usage=sent, path=path))  # type: ignore[arg-type]


def found(usage: Any, path: str = "/chat/completions") -> dict[str, Any]:
    """What is known of it."""
    read_ = read(usage, path)
    assert read_ is not None
    return {
        name: value for name, value in msgspec.structs.asdict(read_).items() if value is not None
    }


def test_chat() -> None:
    sent = b"""{"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11,
        "cost": 0.0004970133333333333, "is_byok": false,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0, "file_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2, "image_tokens": null},
        "server_tool_use_details": {"web_search_requests": 2, "tool_calls_executed": 2},
        "cost_details": {"upstream_inference_cost": 3E-7, "server_tool_cost": 0.01}}"""
    usage = found(sent)
    assert json.loads(usage.pop("usage_extra"), parse_float=Decimal) == {
        "cost": Decimal("0.0004970133333333333"),
        "prompt_tokens_details": {"file_tokens": 1},
        "server_tool_use_details": {"tool_calls_executed": 2},
        "cost_details": {"server_tool_cost": Decimal("0.01")},
    }
    assert usage == {
        "input_tokens": 8,
        "output_tokens": 3,
        "total_tokens": 11,
        "cache_read_input_tokens": 4,
        "cache_write_input_tokens": 0,
        "reasoning_output_tokens": 2,
        "web_searches": 2,
        "billed_usd": Decimal("0.000497013333"),
        "upstream_usd": Decimal("3E-7"),
        "is_byok": False,
    }


def test_messages_leave_cached_tokens_out_of_their_input() -> None:
    sent = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
        "output_tokens_details": {"thinking_tokens": 5},
        "service_tier": "standard",
    }
    for path in ("/messages", "/presets/{slug}/messages"):
        assert found(sent, path) == {
            "input_tokens": 1110,
            "cache_read_input_tokens": 100,
            "cache_write_input_tokens": 1000,
            "cache_write_1h_input_tokens": 600,
            "reasoning_output_tokens": 5,
            "usage_extra": '{"cache_creation":{"ephemeral_5m_input_tokens":400}}',
        }


@pytest.mark.parametrize("cached", [None, 0, "many", -1])
def test_messages_without_a_cache(cached: Any) -> None:
    usage = read({"input_tokens": 10, "cache_read_input_tokens": cached}, "/messages")
    assert usage is not None
    assert usage.input_tokens == 10


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{", b"1", b'"x"', b"[" * 100_000, b'{"cost":%b}' % (b"1" * 5000)],
)
def test_what_is_no_usage(data: bytes) -> None:
    assert read(data) is None


def test_an_empty_usage_says_nothing() -> None:
    assert read({}) == read({"cost": None, "cost_details": {"upstream_inference_cost": None}})
    assert read({"prompt_tokens_details": {}}) == Usage()


@pytest.mark.parametrize(
    "sent",
    [
        '{"cost":1e-13}',
        '{"cost":1.50e-13}',
        '{"steps":1E5,"share":0.10}',
        '{"cost":{}}',
        '{"prompt_tokens":[]}',
        '{"iterations":[],"speed":{"a":{}}}',
        '{"cost_details":{"new":1.0e2}}',
    ],
)
def test_what_no_column_holds_is_kept_as_it_was_sent(sent: str) -> None:
    assert found(sent.encode())["usage_extra"] == sent


def test_a_number_with_an_exponent_beyond_all_bounds_takes_nothing_else_with_it() -> None:
    cost = '{"cost":1e99999999999999999999}'
    assert found(f'{cost[:-1]},"prompt_tokens":5}}'.encode()) == {
        "input_tokens": 5,
        "usage_extra": cost,
    }


def test_counts_beyond_all_measure_are_kept_aside() -> None:
    """Their sum would leave the 64 bits of a report's column, without a word."""
    sent = b'{"prompt_tokens":4611686018427387904,"completion_tokens":1000000000000}'
    assert found(sent) == {
        "output_tokens": 10**12,
        "usage_extra": '{"prompt_tokens":4611686018427387904}',
    }
    sums = {"input_tokens": 10**12, "cache_read_input_tokens": 1}
    assert found(sums, "/messages")["input_tokens"] == 10**12


@pytest.mark.parametrize(
    "digits", ["1e999999999", "-1e-999999999", "9" * 400, "9223372036854775808"]
)
@pytest.mark.parametrize("name", ["prompt_tokens", "cost", "seconds", "search_units"])
def test_numbers_that_no_column_holds_are_kept_as_sent(name: str, digits: str) -> None:
    usage = found(f'{{"{name}":{digits}}}'.encode())
    extra = msgspec.json.Decoder(float_hook=Decimal).decode(usage.pop("usage_extra"))
    assert Decimal(extra[name]) == Decimal(digits)
    assert usage in ({}, {"billed_usd": Decimal("0E-12")}, {"audio_seconds": 0.0})


ODD = ["NaN", "Infinity", "1_0", "１", "", "x", True, [], [1], {"a": 1}, -1]  # noqa: RUF001


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["prompt_tokens", "seconds", "is_byok", "cost_details"])
def test_odd_values_are_no_numbers(name: str, odd: Any) -> None:
    usage = found({name: odd, "total_tokens": 7})
    assert usage.pop("total_tokens") == 7
    usage.pop("usage_extra", None)
    assert usage == ({"is_byok": True} if (name, odd) == ("is_byok", True) else {})


@pytest.mark.parametrize("odd", [o for o in ODD if o != -1], ids=repr)
def test_odd_costs_are_none(odd: Any) -> None:
    assert "billed_usd" not in found({"cost": odd})


def test_a_cost_may_be_digits_in_quotes() -> None:
    assert found({"cost": "0.25"}) == {"billed_usd": Decimal("0.25")}


def test_half_an_emoji_and_a_key_in_a_usage() -> None:
    usage = found(rb'{"cost":1,"note":"\ud83d","key":"sk-or-v1-%b"}' % (b"a" * 64))
    assert usage["billed_usd"] == 1
    assert "sk-or" not in usage["usage_extra"]


numbers = st.integers(-(2**70), 2**70) | st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | st.text(max_size=5)
names = st.sampled_from(
    [
        "prompt_tokens",
        "input_tokens",
        "cached_tokens",
        "cost",
        "seconds",
        "is_byok",
        "cost_details",
        "upstream_inference_cost",
        "prompt_tokens_details",
        "completion_tokens_details",
        "reasoning_tokens",
    ]
) | st.text(max_size=3)
objects = st.recursive(
    st.dictionaries(names, leaves, max_size=6),
    lambda inner: st.dictionaries(names, leaves | inner | st.lists(inner, max_size=2), max_size=6),
    max_leaves=12,
)


def numbers_in(value: Any) -> set[Decimal]:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return {number for part in parts for number in numbers_in(part)}
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return {Decimal(value)}
    if isinstance(value, str):  # digits in quotes are a cost as well
        try:
            return {Decimal(value)} if Decimal(value).is_finite() else set()
        except ArithmeticError:
            return set()
    return set()


@given(objects, st.sampled_from(["/chat/completions", "/responses"]))
def test_no_number_appears_that_was_not_sent(sent: dict[str, Any], path: str) -> None:
    data = _encode(sent)
    usage = read(data, path)
    assert usage is not None
    fields = msgspec.structs.asdict(usage)
    extra = fields.pop("usage_extra")
    there = numbers_in(sent)
    rounded = there | {n.quantize(Decimal("1E-12")) for n in there if n.adjusted() < 10}
    rounded |= {Decimal(repr(float(n))) for n in there if n.adjusted() < 300}
    for value in fields.values():
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            assert Decimal(repr(value) if isinstance(value, float) else value) in rounded
    if extra is not None:
        kept = msgspec.json.Decoder(float_hook=Decimal).decode(extra)
        assert numbers_in(kept) <= there


_encode = msgspec.json.Encoder(decimal_format="number").encode
