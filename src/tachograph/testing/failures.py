"""The ways in which OpenRouter fails, by name, in the words that were seen on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from tachograph.testing.answers import CLOSE, PROCESSING, RESET, Answer
from tachograph.testing.chat import Chat, generation_id

Kind = Literal[
    # an HTTP status of its own
    "invalid_request",
    "authentication",
    "insufficient_credits",
    "in_flight_budget",
    "moderation",
    "not_found",
    "context_length_exceeded",
    "rate_limited",
    "upstream_rate_limited",
    "provider_unavailable",
    "provider_overloaded",
    "edge_error",
    # a plain answer of status 200
    "error_in_answer",
    "error_in_choice",
    "truncated_json",
    "empty_body",
    # a stream of status 200 that fails after its first tokens
    "stream_error",
    "stream_error_without_choices",
    "stream_malformed_function_call",
    "stream_token_limit",
    "stream_cut",
    # the connection
    "disconnect",
    "reset",
]

KINDS: tuple[Kind, ...] = get_args(Kind)


def failure(kind: Kind, *, retry_after: float | None = None) -> Answer:
    """The answer of a failure.

    `retry_after` in seconds goes into the header of that name; without it, only
    `in_flight_budget` (120) and `provider_overloaded` (5) have one.
    """
    answer = _ANSWERS[kind]()
    return answer if retry_after is None else answer.with_headers({"Retry-After": str(retry_after)})


def error_body(code: int, message: str, metadata: Mapping[str, Any] | None = None) -> Any:
    """The body of an error, with the account's id that OpenRouter adds."""
    error: dict[str, Any] = {"message": message, "code": code}
    if metadata:
        error["metadata"] = metadata
    return {"error": error, "user_id": "user_2standin0000000000000000"}


def error_answer(
    code: int,
    message: str,
    metadata: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error with that HTTP status; it has a generation id, which leads nowhere."""
    named = {"X-Generation-Id": generation_id(), **(headers or {})}
    return Answer.json(error_body(code, message, metadata), status=code, headers=named)


def _insufficient_credits() -> Answer:
    return error_answer(
        402,
        "This request requires more credits, or fewer max_tokens. You requested up to 8192 tokens, "
        "but can only afford 1848. To increase, visit https://openrouter.ai/settings/credits and "
        "add more credits",
        {
            "limit_source": "openrouter_credits",
            "remedy_hint": "Add credits, or lower max_tokens / prompt size to fit your remaining "
            "balance.",
            "provider_name": None,
        },
    )


def _in_flight_budget() -> Answer:
    return error_answer(
        402,
        "This request would exceed your available credits given your current in-flight requests. "
        "Retry after in-flight requests settle, or add credits.",
        {
            "reason": "in_flight_budget_exhausted",
            "limit_source": "openrouter_in_flight_budget",
            "remedy_hint": "Retry after your in-flight requests settle (see the Retry-After "
            "header).",
        },
        headers={"Retry-After": "120"},
    )


def _moderation() -> Answer:
    return error_answer(
        403,
        'openai/gpt-5-mini requires moderation on OpenAI. Your input was flagged for "violence". '
        "No credits were charged.",
        {
            "reasons": ["violence"],
            "flagged_input": "a piece of the prompt that nobody should log",
            "provider_name": "OpenAI",
            "model_slug": "openai/gpt-5-mini",
        },
    )


def _rate_limited() -> Answer:
    return error_answer(
        429,
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model "
        "requests per day",
        {
            "headers": {
                "X-RateLimit-Limit": "50",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": "1790553600000",
            },
            "limit_source": "openrouter_free_tier_daily",
            "remedy_hint": "Wait for the daily reset (see X-RateLimit-Reset), or purchase credits.",
            "provider_name": None,
        },
    )


def _upstream_rate_limited() -> Answer:
    return error_answer(
        429,
        "Provider returned error",
        {
            "raw": "openai/gpt-5-mini is temporarily rate-limited upstream. Please retry shortly, "
            "or add your own key to accumulate your rate limits.",
            "provider_name": "OpenAI",
            "is_byok": False,
            "provider_error_code": "429",
            "limit_source": "upstream_provider_shared_pool",
            "remedy_hint": "Retry shortly, or route to another provider.",
        },
    )


def _provider_unavailable() -> Answer:
    metadata = {"provider_name": "DeepInfra", "raw": "upstream connect error"}
    return error_answer(502, "Provider returned error", metadata)


def _provider_overloaded() -> Answer:
    metadata = {"provider_name": "Anthropic"}
    return error_answer(503, "Provider returned error", metadata, headers={"Retry-After": "5"})


def _edge_error() -> Answer:
    page = (
        "<!DOCTYPE html>\n<html><head><title>openrouter.ai | 502: Bad gateway</title></head>"
        "<body><h1>Bad gateway</h1><p>Error code 502</p><p>Cloudflare</p></body></html>\n"
    )
    return Answer(502, {"Content-Type": "text/html; charset=UTF-8"}, (page.encode(),))


def _error_in_answer() -> Answer:
    body = error_body(502, "Provider returned error", {"provider_name": "Hyperbolic"})
    return Answer.json(body).kept_alive()


def _error_in_choice() -> Answer:
    body = Chat("", finish_reason="error").completion()
    body["choices"][0]["error"] = {"code": 502, "message": "Provider disconnected"}
    return Answer.json(body).kept_alive()


def _truncated_json() -> Answer:
    whole = Chat().plain()
    return whole.at(len(whole.body) // 2, CLOSE)


def _empty_body() -> Answer:
    return Answer(200, {"Content-Type": "application/json"})


def _interrupted(*events: Any) -> Answer:
    """A stream whose first tokens came, and then these events."""
    chat = Chat()
    return Answer.sse([PROCESSING, *chat.chunks()[:2], *(e | _ids(chat) for e in events), "[DONE]"])


def _ids(chat: Chat) -> dict[str, Any]:
    return {"id": chat.id, "provider": chat.provider, "created": chat.created}


_DISCONNECTED = {
    "error": {
        "code": 502,
        "message": "Provider disconnected",
        "metadata": {"error_type": "provider_unavailable"},
    }
}


def _stream_error() -> Answer:
    chunk = Chat().chunk({"content": ""}, finish_reason="error", native_finish_reason="error")
    return _interrupted(chunk | _DISCONNECTED)


def _stream_error_without_choices() -> Answer:
    return _interrupted(
        {"object": "chat.completion.chunk", "model": "", "choices": []} | _DISCONNECTED
    )


def _stream_malformed_function_call() -> Answer:
    return _interrupted(
        Chat().chunk(
            {"content": ""},
            finish_reason="error",
            native_finish_reason="MALFORMED_FUNCTION_CALL",
        )
    )


def _stream_token_limit() -> Answer:
    chat = Chat()
    last = chat.chunk({"content": ""}) | {"usage": chat.completion()["usage"]}
    return _interrupted(last | {"error": {"code": 400, "message": "Token limit reached"}})


def _stream_cut() -> Answer:
    return Answer.sse([PROCESSING, *Chat().chunks()[:2]])


_ANSWERS: dict[Kind, Callable[[], Answer]] = {
    "invalid_request": lambda: error_answer(400, 'Input required: specify "prompt" or "messages"'),
    "authentication": lambda: error_answer(401, "No cookie auth credentials found"),
    "insufficient_credits": _insufficient_credits,
    "in_flight_budget": _in_flight_budget,
    "moderation": _moderation,
    "not_found": lambda: error_answer(404, "No endpoints found for this model."),
    "context_length_exceeded": lambda: error_answer(
        400,
        "This endpoint's maximum context length is 400000 tokens. However, you requested about "
        "400312 tokens (400312 of text input). Please reduce the length of either one.",
    ),
    "rate_limited": _rate_limited,
    "upstream_rate_limited": _upstream_rate_limited,
    "provider_unavailable": _provider_unavailable,
    "provider_overloaded": _provider_overloaded,
    "edge_error": _edge_error,
    "error_in_answer": _error_in_answer,
    "error_in_choice": _error_in_choice,
    "truncated_json": _truncated_json,
    "empty_body": _empty_body,
    "stream_error": _stream_error,
    "stream_error_without_choices": _stream_error_without_choices,
    "stream_malformed_function_call": _stream_malformed_function_call,
    "stream_token_limit": _stream_token_limit,
    "stream_cut": _stream_cut,
    "disconnect": lambda: Answer(steps=(CLOSE,)),
    "reset": lambda: Answer(steps=(RESET,)),
}
