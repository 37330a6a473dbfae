"""A chat answer in OpenRouter's words, as one body and as the chunks of a stream."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tachograph.testing.answers import PROCESSING, Answer


def generation_id(prefix: str = "gen") -> str:
    """A new id as OpenRouter makes them: `gen-<unix seconds>-<20 letters and digits>`."""
    alphabet = string.ascii_letters + string.digits
    return f"{prefix}-{int(time.time())}-{''.join(secrets.choice(alphabet) for _ in range(20))}"


def tokens(text: str) -> list[str]:
    """The text cut as the stand-in counts: a token is a word and the space before it."""
    return re.findall(r"\s*\S+|\s+", text)


def usage(
    prompt_tokens: int,
    completion_tokens: int,
    *,
    prompt_usd: Decimal = Decimal(0),
    completion_usd: Decimal = Decimal(0),
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    reasoning_tokens: int = 0,
) -> dict[str, Any]:
    """The usage object of a chat answer; `cost` is the sum of its two parts, to the last digit."""
    cost = prompt_usd + completion_usd
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "cost": cost,
        "is_byok": False,
        "prompt_tokens_details": {
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": cost,
            "upstream_inference_prompt_cost": prompt_usd,
            "upstream_inference_completions_cost": completion_usd,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning_tokens,
            "image_tokens": 0,
            "audio_tokens": 0,
        },
    }


@dataclass(frozen=True)
class Chat:
    """What a model said. `plain()` and `stream()` are its two answers on the wire."""

    text: str = "Hello from the stand-in."
    model: str = "openai/gpt-5-mini"
    provider: str = "OpenAI"
    finish_reason: str = "stop"
    native_finish_reason: str | None = None
    """The provider's own word; None: the same word."""
    reasoning: str | None = None
    tool_calls: Mapping[str, str] = field(default_factory=dict)
    """Name of the function: its arguments, as JSON."""
    usage: Mapping[str, Any] | None = None
    """None: ten tokens in, the tokens of the text out, at no cost."""
    id: str = field(default_factory=generation_id)
    created: int = field(default_factory=lambda: int(time.time()))

    def plain(self) -> Answer:
        return Answer.json(self.completion())

    def stream(self) -> Answer:
        return Answer.sse([PROCESSING, *self.chunks(), "[DONE]"])

    def completion(self) -> dict[str, Any]:
        """The body of a plain answer."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text or None,
            "refusal": None,
            "reasoning": self.reasoning,
        }
        if self.tool_calls:
            message["tool_calls"] = self._calls()
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "provider": self.provider,
            "system_fingerprint": None,
            "service_tier": None,
            "choices": [
                {
                    "index": 0,
                    "logprobs": None,
                    **self._finish(),
                    "message": message,
                }
            ],
            "usage": self._usage(),
        }

    def chunks(self) -> list[dict[str, Any]]:
        """The chunks of a stream: reasoning, text, tool calls, the end, the usage.

        The last one repeats the finish reason, as OpenRouter's does.
        """
        deltas: list[dict[str, Any]] = [
            *({"content": "", "reasoning": token} for token in tokens(self.reasoning or "")),
            *({"content": token} for token in tokens(self.text)),
        ]
        for call in self._calls():
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            deltas.append({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
            deltas += (
                {"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]}
                for piece in tokens(arguments)
            )
        return [
            *(self.chunk(delta) for delta in deltas),
            self.chunk({"content": ""}, **self._finish()),
            self.chunk({"content": ""}, **self._finish()) | {"usage": self._usage()},
        ]

    def chunk(self, delta: Mapping[str, Any], **choice: Any) -> dict[str, Any]:
        """One chunk of this answer; `choice` adds to its only choice or replaces members of it."""
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "provider": self.provider,
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", **delta},
                    "finish_reason": None,
                    "native_finish_reason": None,
                    "logprobs": None,
                    **choice,
                }
            ],
        }

    def _finish(self) -> dict[str, str]:
        return {
            "finish_reason": self.finish_reason,
            "native_finish_reason": self.native_finish_reason or self.finish_reason,
        }

    def _usage(self) -> Mapping[str, Any]:
        reasoning = len(tokens(self.reasoning or ""))
        written = len(tokens(self.text)) + reasoning
        return self.usage or usage(10, written, reasoning_tokens=reasoning)

    def _calls(self) -> list[dict[str, Any]]:
        return [
            {
                "index": index,
                "id": f"call_{self.id}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for index, (name, arguments) in enumerate(self.tool_calls.items())
        ]
