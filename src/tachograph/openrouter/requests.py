"""A request's body -> model, stream, parameters: by an allow-list, so that no content gets in.

A field that has a column goes there; one of `_SAFE` goes to `parameters` with its value; of any
other only the name is kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tachograph.openrouter.failures import clean

INT64 = 2**63 - 1


class RequestFacts:
    """What a request said of itself; None where it said nothing."""

    model: str | None = None
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    response_format: str | None = None
    tools: int | None = None
    session_id: str | None = None
    user_id: str | None = None
    parameters: dict[str, Any] | None = None
    other: list[str] | None = None

    def as_fields(self) -> tuple[Any, ...]:
        """The fields of `Call` from `request_model` to `parameters`."""
        return (
            self.model,
            self.stream,
            self.max_tokens,
            self.temperature,
            self.top_p,
            self.reasoning_effort,
            self.response_format,
            self.tools,
            self._parameters_json(),
        )

    def _parameters_json(self) -> str | None:
        """The parameters as a JSON object, the names of other fields under `other_fields`."""
        if self.parameters is None and self.other is None:
            return None
        parameters = dict(self.parameters or {})
        if self.other is not None:
            parameters["other_fields"] = sorted(self.other)[:32]
        return msgspec.json.encode(parameters).decode()


def read_request(body: bytes) -> RequestFacts | None:
    """The facts of a JSON body; None for any other."""
    if body[:1] not in (b"{", b" ", b"\n", b"\r", b"\t"):
        return None
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    facts = RequestFacts()
    for name, raw in fields.items():
        read = _READ.get(name)
        if read is None:
            if _NAME.fullmatch(name):
                facts.other = [*(facts.other or ()), name]
            continue
        try:
            read(facts, name, raw)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
            facts.other = [*(facts.other or ()), name]
    return facts


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_number = msgspec.json.Decoder(int | float).decode
_any = msgspec.json.Decoder().decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode

# A name or a value longer or stranger than this could be somebody's content.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"(?!sk-)[\w.:/@~+-]{1,128}")

_Read = Callable[[RequestFacts, str, msgspec.Raw], None]


def _nothing(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    """The content itself: not even its name is worth a word."""


def _string(attribute: str, characters: int) -> _Read:
    def read(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
        if bytes(raw) != b"null":
            setattr(facts, attribute, clean(_text(raw))[:characters])

    return read


def _stream(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    facts.stream = bytes(raw) == b"true"


def _max_tokens(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    if bytes(raw) == b"null":
        return
    value = _number(raw)
    if isinstance(value, int) and abs(value) <= INT64:
        facts.max_tokens = value
    else:
        _keep(facts, name, value)


def _float(attribute: str) -> _Read:
    def read(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
        if bytes(raw) == b"null":
            return
        value = float(_number(raw))
        if math.isfinite(value):
            setattr(facts, attribute, value)

    return read


def _reasoning(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    value = _any(raw)
    if isinstance(value, dict):
        effort = value.pop("effort", None)
        if isinstance(effort, str) and _WORD.fullmatch(effort):
            facts.reasoning_effort = effort
        _keep(facts, name, value)


def _response_format(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    value = _any(raw)
    if name == "text" and isinstance(value, dict):  # of /responses
        value = value.get("format")
    kind = value.get("type") if isinstance(value, dict) else value
    if isinstance(kind, str) and _WORD.fullmatch(kind):
        facts.response_format = kind


def _tools(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    if bytes(raw) != b"null":
        facts.tools = min(len(_items(raw)), 32767) or None


def _plugins(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    value = _any(raw)
    if isinstance(value, list):
        _keep(facts, name, [p.get("id") for p in value if isinstance(p, dict)])


def _parameter(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    _keep(facts, name, _any(raw))


def _keep(facts: RequestFacts, name: str, value: Any) -> None:
    value = _safe(value)
    if value is not None and value != {} and value != []:
        if facts.parameters is None:
            facts.parameters = {}
        facts.parameters[name] = value


def _safe(value: Any, depth: int = 0) -> Any:
    """The value with everything left out that could hold content: numbers and words remain."""
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else None
    if isinstance(value, dict) and depth < 3:
        inner = {k: _safe(v, depth + 1) for k, v in value.items() if _NAME.fullmatch(k)}
        return {k: v for k, v in inner.items() if v is not None}
    if isinstance(value, list) and depth < 3:
        return [v for v in (_safe(v, depth + 1) for v in value[:32]) if v is not None]
    return value if isinstance(value, bool | int | float) else None


_SAFE = (
    "background",
    "cache_control",
    "dimensions",
    "encoding_format",
    "frequency_penalty",
    "image_config",
    "logprobs",
    "max_tool_calls",
    "min_p",
    "modalities",
    "models",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "preset",
    "provider",
    "quality",
    "repetition_penalty",
    "route",
    "seed",
    "service_tier",
    "size",
    "speed",
    "store",
    "stream_options",
    "thinking",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_n",
    "transforms",
    "truncation",
    "usage",
    "verbosity",
)

_READ: dict[str, _Read] = {
    **dict.fromkeys(("messages", "input", "prompt", "documents", "query", "system"), _nothing),
    "model": _string("model", 256),
    "stream": _stream,
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), _max_tokens),
    "temperature": _float("temperature"),
    "top_p": _float("top_p"),
    "reasoning": _reasoning,
    "reasoning_effort": _string("reasoning_effort", 64),
    "response_format": _response_format,
    "text": _response_format,
    "tools": _tools,
    "plugins": _plugins,
    "session_id": _string("session_id", 256),
    "user": _string("user_id", 256),
    **dict.fromkeys(_SAFE, _parameter),
}
