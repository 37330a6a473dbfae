"""Status and body of a failure -> one word for it, its code, and a message without secrets.

The words are few, so that they can be counted and grouped. OpenRouter's own `error_type` is taken
where an answer has it; most have none (measured on the wire), so the word comes from the status,
the code and the metadata. Source: OpenRouter's "Errors and debugging" page and recorded answers.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from tachograph.openrouter.text import clean, fit, readings, redact

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

# Words of OpenRouter's documents, and of the two APIs that it speaks besides its own, that have
# another name here.
_BY_ERROR_TYPE = {
    "payment_required": "insufficient_credits",
    "billing_error": "insufficient_credits",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "timeout": "gateway_timeout",
    "timeout_error": "gateway_timeout",
    "server": "server_error",
    "api_error": "server_error",
    "content_policy_violation": "moderation",
    "image_content_policy_violation": "moderation",
    "invalid_request_error": "invalid_request",
    "unprocessable": "invalid_request",
    "authentication_error": "authentication",
    "permission_error": "permission_denied",
    "not_found_error": "not_found",
    "request_too_large": "payload_too_large",
    "overloaded_error": "provider_overloaded",
    "token_limit_exceeded": "max_tokens_exceeded",
    "unmapped": "provider_error",
}
_ERROR_TYPES = frozenset(
    {
        *_BY_ERROR_TYPE.values(),
        "context_length_exceeded",
        "provider_unavailable",
        "invalid_prompt",
        "string_too_long",
        "precondition_failed",
        "refusal",
        "invalid_image",
        "image_too_large",
        "image_too_small",
        "unsupported_image_format",
        "image_not_found",
        "image_download_failed",
    }
)

# Beside the keys: other tokens, and ids of accounts.
_SECRETS = re.compile(
    r"\bBearer\s+\S+"
    r"|\buser_[A-Za-z0-9]{6,}"
    r"|\borg_[A-Za-z0-9]{6,}"
)


def failure_of(status: int | None, error: bytes | None, error_type: str | None = None) -> Failure:
    """What an `error` member (JSON; None where the answer has none) and a status say.

    An error inside an answer of status 200 is judged by its own `code`. `error_type` is
    OpenRouter's word for it, where it stands beside the member.
    """
    body = _read(error)
    if error_type is not None:
        body.setdefault("error_type", error_type)
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
        None if code is None else fit(str(code))[:64],
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
    return clean(_SECRETS.sub("[redacted]", redact(message)))[:MESSAGE_CHARACTERS]


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
    for stated in (
        body.get("error_type"),
        metadata.get("error_type"),
        body.get("code"),
        body.get("type"),
    ):
        if isinstance(stated, str):
            stated = _BY_ERROR_TYPE.get(stated, stated)
            if stated in _ERROR_TYPES:
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
    body = None
    for text in readings(error):
        try:
            body = msgspec.json.decode(text)
            break
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    if body is None:
        return {}
    return body if isinstance(body, dict) else {"message": body}


def _number(code: Any) -> int | None:
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None
