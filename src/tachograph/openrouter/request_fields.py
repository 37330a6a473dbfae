"""What each field of a request says: by an allow-list, so that no content gets in.

A field that has a column goes there; one of `_SAFE` goes to `parameters` with its value, as far as
that is numbers and single words; of any other only the name is kept. So a field that is invented
tomorrow, at whatever depth, says no more than its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tachograph.openrouter.request_facts import INT64, RequestFacts
from tachograph.openrouter.text import fit, redact


def read_fields(facts: RequestFacts, fields: Iterable[tuple[str, msgspec.Raw]]) -> None:
    """Adds what these fields say; of one that cannot be read only its name."""
    for name, raw in fields:
        read = _READ.get(name)
        if read is None:
            if _NAME.fullmatch(name):
                facts.other = [*(facts.other or ()), name]
            continue
        try:
            read(facts, name, raw)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            facts.other = [*(facts.other or ()), name]


_text = msgspec.json.Decoder(str).decode
_number = msgspec.json.Decoder(int | float).decode
_any = msgspec.json.Decoder().decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Named(msgspec.Struct, gc=False):
    model: str | None = None


class _Request(_Named, gc=False):
    """One of a batch, in OpenAI's form or in Anthropic's."""

    body: _Named | None = None
    params: _Named | None = None

    def named(self) -> str | None:
        return next((n.model for n in (self, self.body, self.params) if n and n.model), None)


_requests = msgspec.json.Decoder(list[_Request]).decode

# A name or a value longer or stranger than this could be somebody's content.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_.:/@~+-]{1,128}")

_Read = Callable[[RequestFacts, str, msgspec.Raw], None]


def _word(value: Any) -> str | None:
    """A single word that is no key; None for anything else."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        return None
    return value if redact(value) == value else None


def _nothing(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    """The content itself: not even its name is worth a word."""


def _string(attribute: str, characters: int) -> _Read:
    def read(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
        if bytes(raw) != b"null":
            setattr(facts, attribute, fit(_text(raw))[:characters])

    return read


def _effort(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    facts.reasoning_effort = _word(_any(raw))


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
        facts.reasoning_effort = _word(value.get("effort")) or facts.reasoning_effort
        _keep(facts, name, value)


def _response_format(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    value = _any(raw)
    if name == "text":  # of /responses
        value = value.get("format") if isinstance(value, dict) else None
    kind = value.get("type") if isinstance(value, dict) else value
    facts.response_format = _word(kind) or facts.response_format


def _tools(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    if bytes(raw) != b"null":
        facts.tools = min(len(_items(raw)), 32767) or None


def _batch(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    """The model of a batch, where all of its requests name the same."""
    models = {model for request in _requests(raw) if (model := request.named()) is not None}
    if facts.model is None and len(models) == 1:
        facts.model = fit(models.pop())[:256]


def _plugins(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    value = _any(raw)
    if isinstance(value, list):
        _keep(facts, name, [p.get("id") for p in value if isinstance(p, dict)])


def _parameter(facts: RequestFacts, name: str, raw: msgspec.Raw) -> None:
    _keep(facts, name, _any(raw))


def _keep(facts: RequestFacts, name: str, value: Any) -> None:
    value = _safe(value, _SAFE[name])
    if value is not None and value != {} and value != []:
        if facts.parameters is None:
            facts.parameters = {}
        facts.parameters[name] = value


def _safe(value: Any, members: _Allowed) -> Any:
    """What is left of a value: numbers, words and lists of them, and the members of that name."""
    if isinstance(value, dict):
        kept = {k: _safe(v, members[k]) for k, v in value.items() if k in members}
        return {k: v for k, v in kept.items() if v is not None and v != {} and v != []}
    if isinstance(value, list):
        plain = [v for v in value[:32] if not isinstance(v, list | dict)]
        return [v for v in (_safe(v, {}) for v in plain) if v is not None]
    if isinstance(value, str):
        return _word(value)
    return value if isinstance(value, bool | int | float) else None


_Allowed = dict[str, Any]
"""The names of an object's members that are kept, each with those of its own."""


def _names(names: str, **nested: _Allowed) -> _Allowed:
    return {**{name: {} for name in names.split()}, **nested}


_PERCENTILES = _names("p50 p75 p90 p99")
_SAFE: _Allowed = _names(
    "background dimensions encoding_format frequency_penalty logprobs max_completion_tokens"
    " max_output_tokens max_tokens max_tool_calls min_p modalities models n parallel_tool_calls"
    " plugins presence_penalty preset quality repetition_penalty route seed service_tier size"
    " speed store top_a top_k top_logprobs top_n transforms truncation verbosity",
    cache_control=_names("type ttl"),
    image_config=_names("aspect_ratio image_size"),
    provider=_names(
        "order only ignore allow_fallbacks require_parameters data_collection zdr"
        " enforce_distillable_text quantizations",
        sort=_names("by partition"),
        max_price=_names("prompt completion request image audio"),
        preferred_min_throughput=_PERCENTILES,
        preferred_max_latency=_PERCENTILES,
    ),
    reasoning=_names("max_tokens exclude enabled summary context mode"),
    stream_options=_names("include_usage"),
    thinking=_names("type budget_tokens"),
    usage=_names("include"),
)

_READ: dict[str, _Read] = {
    **dict.fromkeys(("messages", "input", "prompt", "documents", "query", "system"), _nothing),
    **dict.fromkeys(_SAFE, _parameter),
    "model": _string("model", 256),
    "stream": _stream,
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), _max_tokens),
    "temperature": _float("temperature"),
    "top_p": _float("top_p"),
    "reasoning": _reasoning,
    "reasoning_effort": _effort,
    "response_format": _response_format,
    "text": _response_format,
    "tools": _tools,
    "requests": _batch,
    "plugins": _plugins,
    "session_id": _string("session_id", 256),
    "user": _string("user_id", 256),
}
WHO = ("session_id", "user")
"""Fields that tell one request of an app from the next."""
TELLING = frozenset(n for n, read in _READ.items() if read is not _nothing).difference(WHO)
"""Fields whose value says more than their name."""
