"""Status and body of a failure -> one word for it, its code, and a message without secrets.

The words are few, so that they can be counted and grouped. OpenRouter's own `error_type` is taken
where an answer has it; most have none (measured on the wire), so the word comes from the status,
the code and the metadata. Source: OpenRouter's "Errors and debugging" page and recorded answers.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

MESSAGE_CHARACTERS = 500
"""Longer messages are cut."""


class Failure(NamedTuple):
    error_type: str
    error_code: str | None = None
    """As sent."""
    error_message: str | None = None
    """Scrubbed and cut."""


_BY_STATUS = {
    400: "invalid_request",
    401: "authentication",
    402: "insufficient_credits",
    403: "permission_denied",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    413: "payload_too_large",
    422: "invalid_request",
    429: "rate_limited",
    499: "client_closed_request",
    500: "server_error",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "gateway_timeout",
    524: "gateway_timeout",
    529: "provider_overloaded",
}

# OpenRouter's documented `error_type` words that have another name here.
_BY_ERROR_TYPE = {
    "payment_required": "insufficient_credits",
    "rate_limit_exceeded": "rate_limited",
    "timeout": "gateway_timeout",
    "server": "server_error",
    "content_policy_violation": "moderation",
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "permission_error": "permission_denied",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limited",
    "request_too_large": "payload_too_large",
    "overloaded_error": "provider_overloaded",
    "api_error": "server_error",
    "unmapped": "provider_error",
}
_ERROR_TYPES = frozenset(
    {
        "authentication",
        "permission_denied",
        "provider_overloaded",
        "provider_unavailable",
        "context_length_exceeded",
        "max_tokens_exceeded",
        "invalid_request",
        "invalid_prompt",
        "not_found",
        "refusal",
    }
)

_SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9][A-Za-z0-9_-]{8,}"  # API keys of OpenRouter and of its providers
    r"|\bBearer\s+\S+"
    r"|\buser_[A-Za-z0-9]{6,}"
    r"|\borg_[A-Za-z0-9]{6,}"
)


def failure_of(status: int | None, error: bytes | None) -> Failure:
    """What an `error` member (JSON; None where the answer has none) and a status say.

    An error inside an answer of status 200 is judged by its own `code`.
    """
    body = _read(error)
    code = body.get("code")
    if code is None:
        code = body.get("type")
    metadata = body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    message = body.get("message")
    said = message if isinstance(message, str) else ""
    effective = status if status is not None and status >= 400 else _number(code)
    return Failure(
        _word(effective, body, metadata, said),
        None if code is None else clean(str(code))[:64],
        scrub(said, metadata) or None,
    )


def edge_failure(status: int) -> Failure:
    """A failure whose body is not OpenRouter's: the network's edge answered, mostly in HTML."""
    named = _BY_STATUS.get(status)
    return Failure("edge_error" if (status >= 500 and status != 524) or not named else named)


def transport_failure(exc: BaseException) -> Failure:
    """An exception of the transport, by its class: ConnectError is `connect_error`."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(exc).__name__).lower()
    return Failure(name, None, scrub(str(exc), {}) or None)


def scrub(message: str, metadata: dict[str, Any]) -> str:
    """The message without keys, account ids and the piece of the prompt that was flagged."""
    flagged = metadata.get("flagged_input")
    if isinstance(flagged, str) and flagged:
        message = message.replace(flagged, "[flagged input]")
    return clean(_SECRETS.sub("[redacted]", message))[:MESSAGE_CHARACTERS]


def clean(text: str) -> str:
    """Without what databases refuse: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _word(status: int | None, body: dict[str, Any], metadata: dict[str, Any], said: str) -> str:
    source = metadata.get("limit_source")
    lower = said.lower()
    if status == 402 and (
        source == "openrouter_in_flight_budget"
        or metadata.get("reason") in ("in_flight_budget_exhausted", "weight_exceeds_budget")
    ):
        return "in_flight_budget"
    if source == "openrouter_key_limit":
        return "key_limit"
    if status == 429 and (
        source == "upstream_provider_shared_pool"
        or (source is None and (metadata.get("provider_name") or "upstream" in lower))
    ):
        return "upstream_rate_limited"
    if status == 403 and ("reasons" in metadata or "flagged_input" in metadata):
        return "moderation"
    if status == 403 and "patterns" in metadata:
        return "guardrail"
    stated = body.get("error_type") or metadata.get("error_type") or body.get("type")
    if isinstance(stated, str):
        stated = _BY_ERROR_TYPE.get(stated, stated)
        if stated in _ERROR_TYPES or stated in _BY_ERROR_TYPE.values():
            return stated
    if "context length" in lower or "context_length" in lower:
        return "context_length_exceeded"
    if "token limit reached" in lower:
        return "max_tokens_exceeded"
    if status is None:
        return "provider_error"
    return _BY_STATUS.get(status, "client_error" if status < 500 else "edge_error")


def _read(error: bytes | None) -> dict[str, Any]:
    if not error:
        return {}
    try:
        body = msgspec.json.decode(error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {"message": body}


def _number(code: Any) -> int | None:
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None
