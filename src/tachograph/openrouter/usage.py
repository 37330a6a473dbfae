"""The usage object of an answer -> Usage, one normal form for every endpoint.

Chat says prompt_tokens, Responses and Messages say input_tokens; Messages leaves cached tokens out
of its input_tokens, so they are added here. A member that no column holds, or a number that its
column cannot hold exactly, goes to `usage_extra` as it was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import msgspec

from tachograph.core.records import Call, Usage
from tachograph.core.units import PICO
from tachograph.openrouter.request_facts import INT64
from tachograph.openrouter.text import readings, redact, text_of


class _Number(Decimal):
    """A number with a point or an exponent, which can be written again as it was sent."""

    sent: bytes


def _number(text: str) -> _Number | msgspec.Raw:
    try:
        number = _Number(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return msgspec.Raw(text.encode())
    number.sent = text.encode()
    return number


def _as_sent(value: Any) -> msgspec.Raw:
    assert isinstance(value, _Number)
    return msgspec.Raw(value.sent)


_decode = msgspec.json.Decoder(float_hook=_number).decode
_encode = msgspec.json.Encoder(enc_hook=_as_sent).encode

MOST_COUNT = 10**12
"""A count above this is none. Sums of what is below it cannot leave the 64 bits of a report."""

_EXACT = Context(prec=80)
_MOST_USD = Decimal(INT64).scaleb(-12)
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_EXCLUDED = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""What /messages leaves out of its input_tokens."""


def read_usage(call: Call) -> Usage | None:
    """What the call's usage object says; None where it had none that could be read."""
    sent = None if call.usage is None else _read(call.usage)
    if not isinstance(sent, dict):
        return None
    found: dict[str, Any] = {}
    if call.path.endswith("/messages"):
        _add_cached(sent)
        if text_of(sent.get("service_tier")) is not None:
            del sent["service_tier"]  # it has a column, and was read with the answer
    _take(sent, _MEMBERS, found)
    extra = _left(sent)
    if extra:
        found["usage_extra"] = redact(_encode(extra).decode())
    return Usage(**found)


def says_cost(usage: bytes) -> bool:
    """Whether a usage object (JSON) tells what was billed."""
    sent = _read(usage)
    return isinstance(sent, dict) and _usd(sent.get("cost"))[0] is not None


def _read(data: bytes) -> Any:
    for text in readings(data):
        try:
            return _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


def _add_cached(sent: dict[str, Any]) -> None:
    """Makes the input tokens of /messages those of all endpoints."""
    counts = [_count(sent.get(name))[0] for name in _EXCLUDED]
    fresh = _count(sent.get("input_tokens"))[0]
    if fresh is not None and fresh + sum(filter(None, counts)) <= MOST_COUNT:
        sent["input_tokens"] = fresh + sum(filter(None, counts))


def _take(sent: dict[str, Any], members: dict[str, Any], found: dict[str, Any]) -> None:
    """Moves what the columns can hold from the object as sent into `found`."""
    for name, target in members.items():
        if name not in sent:
            continue
        value = sent[name]
        if value is None:
            del sent[name]
        elif isinstance(target, dict):
            if isinstance(value, dict):
                _take(value, target, found)
                if not _left(value):
                    del sent[name]
        else:
            column, fit = target
            fitted, exact = fit(value)
            if fitted is not None and column not in found:
                found[column] = fitted
                if exact:
                    del sent[name]


def _left(sent: dict[str, Any]) -> dict[str, Any]:
    """What was not taken, without nulls."""
    return {
        name: _left(value) if isinstance(value, dict) else value
        for name, value in sent.items()
        if value is not None
    }


# Each says what the column takes of a value, and whether that is all of it.


def _count(value: Any) -> tuple[int | None, bool]:
    if isinstance(value, Decimal) and value.adjusted() < 19 and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNT:
        return value, True
    return None, False


def _seconds(value: Any) -> tuple[float | None, bool]:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value < INT64:
        return float(value), Decimal(repr(float(value))) == value
    return None, False


def _usd(value: Any) -> tuple[Decimal | None, bool]:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None, False
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None, False
    try:
        amount = Decimal(value)
        rounded = amount.quantize(PICO, ROUND_HALF_EVEN, _EXACT)
    except InvalidOperation:
        return None, False
    if rounded.copy_abs() > _MOST_USD:
        return None, False
    return rounded, rounded == amount


def _flag(value: Any) -> tuple[bool | None, bool]:
    return (value, True) if isinstance(value, bool) else (None, False)


def _to(column: str, fit: Callable[[Any], tuple[Any, bool]] = _count) -> Any:
    return column, fit


_INPUT_DETAILS = {
    "cached_tokens": _to("cache_read_input_tokens"),
    "cache_write_tokens": _to("cache_write_input_tokens"),
    "audio_tokens": _to("audio_input_tokens"),
    "video_tokens": _to("video_input_tokens"),
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": _to("reasoning_output_tokens"),
    "thinking_tokens": _to("reasoning_output_tokens"),
    "image_tokens": _to("image_output_tokens"),
    "audio_tokens": _to("audio_output_tokens"),
}
_SERVER_TOOLS = {"web_search_requests": _to("web_searches")}
_MEMBERS: dict[str, Any] = {
    "prompt_tokens": _to("input_tokens"),
    "input_tokens": _to("input_tokens"),
    "completion_tokens": _to("output_tokens"),
    "output_tokens": _to("output_tokens"),
    "total_tokens": _to("total_tokens"),
    "prompt_tokens_details": _INPUT_DETAILS,
    "input_tokens_details": _INPUT_DETAILS,
    "completion_tokens_details": _OUTPUT_DETAILS,
    "output_tokens_details": _OUTPUT_DETAILS,
    "cache_read_input_tokens": _to("cache_read_input_tokens"),
    "cache_creation_input_tokens": _to("cache_write_input_tokens"),
    "cache_creation": {"ephemeral_1h_input_tokens": _to("cache_write_1h_input_tokens")},
    "server_tool_use_details": _SERVER_TOOLS,
    "server_tool_use": _SERVER_TOOLS,
    "search_units": _to("search_units"),
    "seconds": _to("audio_seconds", _seconds),
    "cost": _to("billed_usd", _usd),
    "is_byok": _to("is_byok", _flag),
    "cost_details": {
        "upstream_inference_cost": _to("upstream_usd", _usd),
        "upstream_inference_prompt_cost": _to("upstream_input_usd", _usd),
        "upstream_inference_input_cost": _to("upstream_input_usd", _usd),
        "upstream_inference_completions_cost": _to("upstream_output_usd", _usd),
        "upstream_inference_output_cost": _to("upstream_output_usd", _usd),
    },
}
