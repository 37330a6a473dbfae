"""What a stand-in for OpenRouter answers, without a socket: through a transport of httpx2."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2

GENERATION = "gen-1791085542-nGPIiqI34XL7MIrdVHU3"
MODEL = "deepseek/deepseek-v4-pro"
USAGE: dict[str, Any] = {
    "prompt_tokens": 135,
    "completion_tokens": 5,
    "total_tokens": 140,
    "cost": 0.00123,
    "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 0},
    "cost_details": {"upstream_inference_cost": 0.00123},
    "completion_tokens_details": {"reasoning_tokens": 3, "image_tokens": 0},
}
_HEAD = {
    "id": GENERATION,
    "created": 1791085542,
    "model": MODEL,
    "provider": "NextBit",
}
RATE_LIMITED = (429, b'{"error":{"code":429,"message":"Rate limit exceeded"}}')
ERROR_INSIDE = (200, b'{"error":{"code":502,"message":"The provider is away"}}')


def plain(text: str = "word " * 250) -> tuple[int, bytes]:
    """An answer of 1.8 KB."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    whole = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return 200, json.dumps(whole).encode()


def events(words: int = 30) -> list[bytes]:
    """A stream: an empty chunk with the role, the words, the end, the usage."""

    def event(delta: dict[str, Any], **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": None} | more
        told = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
        return b"data: " + json.dumps(told).encode() + b"\n\n"

    usage = {**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return [
        event({"role": "assistant", "content": ""}),
        *[event({"content": " word"})] * words,
        event({}, finish_reason="stop"),
        b"data: " + json.dumps(usage).encode() + b"\n\n",
        b"data: [DONE]\n\n",
    ]


class _Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes], pause_before: dict[int, float]) -> None:
        self._pieces = pieces
        self._pause_before = pause_before

    def __iter__(self) -> Iterator[bytes]:
        for n, piece in enumerate(self._pieces):
            if n in self._pause_before:
                time.sleep(self._pause_before[n])
            yield piece


class Scripted(httpx2.BaseTransport):
    """Answers at once with what stands next in its script; the last thing is repeated.

    `pause_before` makes a stream wait so many seconds before a piece.
    """

    def __init__(
        self,
        *answers: tuple[int, bytes] | list[bytes],
        pause_before: dict[int, float] | None = None,
    ) -> None:
        self._answers = list(answers)
        self._pause_before = pause_before or {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        headers = {"x-generation-id": GENERATION, "retry-after-ms": "1"}
        if isinstance(answer, list):
            headers["content-type"] = "text/event-stream"
            return httpx2.Response(200, headers=headers, stream=_Pieces(answer, self._pause_before))
        status, body = answer
        headers["content-type"] = "application/json"
        return httpx2.Response(status, headers=headers, stream=_Pieces([body], {}))
