"""What the stand-in answers by itself: chat answers with true counts and costs, and the catalogue.

The words are always the same few sentences; a token is a word. A prompt that begins like an
earlier one (all but its last message, of 1,024 tokens or more) is read from the cache where the
model has a price for that; where writing has a price too, only when the request asks for it with
`cache_control`.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from tachograph.testing.answers import Answer
from tachograph.testing.catalogue import Endpoint, Model, bill, endpoints, listing
from tachograph.testing.chat import Chat, tokens, usage
from tachograph.testing.failures import error_answer, failure
from tachograph.testing.wire import Request

ROOT = "/api/v1"
CACHEABLE_TOKENS = 1024

_ROUTER = "openrouter/auto"

_SENTENCES = (
    "This answer comes from a stand-in for OpenRouter, and no model has read the question.",
    "It is counted and billed as a real one would be, at the prices of a small catalogue.",
    "The odometer only turns forward, so every token is written down once.",
    "A recorder that slows the engine is a brake.",
    "Whoever asks twice pays twice, unless the beginning was in the cache.",
)
_THOUGHT = "The question is simple. First the facts, then the figures, then a short answer."


class Replies:
    """Answers requests; remembers which beginnings of prompts are in the cache."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.id: model for model in models}
        self._cached: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        path = request.path.removeprefix(ROOT)
        if request.method == "POST" and path == "/chat/completions":
            return self._chat(request)
        if request.method == "GET" and path == "/models":
            return Answer.json(listing(list(self._models.values())))
        model = self._models.get(path.removeprefix("/models/").removesuffix("/endpoints"))
        if request.method == "GET" and path.endswith("/endpoints") and model:
            return Answer.json(endpoints(model))
        return error_answer(404, f"The stand-in does not serve {request.method} {path}")

    def _chat(self, request: Request) -> Answer:
        try:
            asked = request.json()
        except ValueError:
            return failure("invalid_request")
        messages = asked.get("messages") if isinstance(asked, dict) else None
        if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
            return failure("invalid_request")
        model = self._model(asked.get("model") or next(iter(asked.get("models") or ()), _ROUTER))
        endpoint = _endpoint(model, asked.get("provider") or {})
        if endpoint is None:
            return error_answer(404, "No allowed providers are available for the selected model.")
        chat = self._said(asked, model, endpoint)
        return chat.stream() if asked.get("stream") else chat.plain().kept_alive()

    def _model(self, name: str) -> Model:
        free = {"prompt": "0", "completion": "0"}
        unlisted = Model(name, name, name, (Endpoint("Stand-in", "stand-in", free),))
        model = self._models.get(name, unlisted)
        return self._models[model.routes_to] if model.routes_to else model

    def _said(self, asked: Mapping[str, Any], model: Model, endpoint: Endpoint) -> Chat:
        words = [_words(message) for message in asked["messages"]]
        number = zlib.crc32(" ".join(words).encode())
        text = " ".join(_SENTENCES[(number + n) % 5] for n in range(1 + number % 5))
        thought = _THOUGHT if _thinks(asked) else None
        calls = _required_call(asked)
        written = [] if calls else tokens(text)
        limit = asked.get("max_tokens") or asked.get("max_completion_tokens") or len(written)
        said = written[:limit]
        prompt = [len(tokens(message)) + 4 for message in words]
        beginning = (model.id, endpoint.tag, *words[:-1])
        cached, stored = self._cache(asked, endpoint, beginning, sum(prompt[:-1]))
        thinking = len(tokens(thought or ""))
        completion = len(said) + thinking + sum(len(tokens(args)) for args in calls.values())
        cost = bill(
            endpoint.pricing,
            prompt_tokens=sum(prompt),
            completion_tokens=completion,
            cached_tokens=cached,
            cache_write_tokens=stored,
        )
        return Chat(
            "".join(said),
            model.answers_as or model.id,
            endpoint.provider,
            "tool_calls" if calls else "stop" if len(said) == len(written) else "length",
            reasoning=thought,
            tool_calls=calls,
            usage=usage(
                sum(prompt),
                completion,
                prompt_usd=cost.prompt,
                completion_usd=cost.completion,
                cached_tokens=cached,
                cache_write_tokens=stored,
                reasoning_tokens=thinking,
            ),
        )

    def _cache(
        self, asked: Mapping[str, Any], endpoint: Endpoint, beginning: tuple[str, ...], length: int
    ) -> tuple[int, int]:
        """Tokens read from the cache, and tokens written to it, of a beginning of that length."""
        explicit = "input_cache_write" in endpoint.pricing
        if (
            length < CACHEABLE_TOKENS
            or "input_cache_read" not in endpoint.pricing
            or (explicit and not _marks_cache(asked))
        ):
            return 0, 0
        with self._lock:
            hit = beginning in self._cached
            self._cached.add(beginning)
        return (length, 0) if hit else (0, length if explicit else 0)


def _endpoint(model: Model, wishes: Mapping[str, Any]) -> Endpoint | None:
    """The endpoint that the request's `provider` object leads to; the first without one."""

    def named(endpoint: Endpoint, names: Sequence[str]) -> bool:
        return any(n.lower() in (endpoint.provider.lower(), endpoint.tag) for n in names)

    allowed = [
        e
        for e in model.endpoints
        if (not wishes.get("only") or named(e, wishes["only"]))
        and not named(e, wishes.get("ignore") or ())
    ]
    for name in wishes.get("order") or ():
        for endpoint in allowed:
            if named(endpoint, [name]):
                return endpoint
    return allowed[0] if allowed else None


def _words(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def _thinks(asked: Mapping[str, Any]) -> bool:
    reasoning = asked.get("reasoning") or {}
    effort = asked.get("reasoning_effort") or reasoning.get("effort")
    return effort != "none" and bool(effort or reasoning)


def _required_call(asked: Mapping[str, Any]) -> dict[str, str]:
    """The first tool, called with no arguments, when the request insists on a call."""
    tools = asked.get("tools") or []
    if asked.get("tool_choice") != "required" or not tools:
        return {}
    return {tools[0]["function"]["name"]: "{}"}


def _marks_cache(asked: Mapping[str, Any]) -> bool:
    parts = (
        part
        for m in asked["messages"]
        if isinstance(m.get("content"), list)
        for part in m["content"]
    )
    return "cache_control" in asked or any("cache_control" in part for part in parts)
