"""What is recorded of a request."""

from __future__ import annotations

from typing import Any

import msgspec

from tachograph.openrouter.text import redact

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
    _fields: tuple[Any, ...] | None = None

    def copy(self) -> RequestFacts:
        """The same, to be changed."""
        facts = RequestFacts()
        vars(facts).update(vars(self), _fields=None)
        return facts

    def as_fields(self) -> tuple[Any, ...]:
        """The fields of `Call` from `request_model` to `parameters`; after this, no changes."""
        if self._fields is None:
            self._fields = (
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
        return self._fields

    def _parameters_json(self) -> str | None:
        """The parameters as a JSON object, the names of other fields under `other_fields`."""
        if self.parameters is None and self.other is None:
            return None
        parameters = dict(self.parameters or {})
        if self.other is not None:
            parameters["other_fields"] = sorted(self.other)[:32]
        return redact(msgspec.json.encode(parameters).decode())
