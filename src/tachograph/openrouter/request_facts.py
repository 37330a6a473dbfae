"""What is recorded of a request, and the quick way to it for those that nearly all are."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.text import fit, redact

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
        return redact(msgspec.json.encode(parameters).decode())


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A request of these members alone, each of the type that it should have."""

    model: str | None = None
    messages: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[msgspec.Raw] | None = None
    session_id: str | None = None
    user: str | None = None


_decode = msgspec.json.Decoder(_Usual).decode


def read_usual(body: bytes) -> RequestFacts | None:
    """The facts of a request without anything unusual; None for any other."""
    try:
        usual = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if usual.max_tokens is not None and abs(usual.max_tokens) > INT64:
        return None
    facts = RequestFacts()
    if usual.model is not None:
        facts.model = fit(usual.model)[:256]
    if usual.stream:
        facts.stream = True
    facts.max_tokens = usual.max_tokens
    facts.temperature = usual.temperature
    facts.top_p = usual.top_p
    if usual.tools:
        facts.tools = min(len(usual.tools), 32767)
    if usual.session_id is not None:
        facts.session_id = fit(usual.session_id)[:256]
    if usual.user is not None:
        facts.user_id = fit(usual.user)[:256]
    return facts
