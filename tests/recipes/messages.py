"""What OpenRouter answers on /messages: Anthropic's form, with a cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tachograph.testing import Answer, sse

INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS = 110, 100, 7
_COST = 0.00123
_TEXT = "A film of water."


def plain() -> Answer:
    return Answer.json(
        {
            **_message("gen-1-plain"),
            "content": [{"type": "text", "text": _TEXT}],
            "stop_reason": "end_turn",
            "usage": {**_usage(OUTPUT_TOKENS), "cost": _COST, "is_byok": False},
        }
    )


def stream() -> Answer:
    """Each event by its name, and the `[DONE]` that is not Anthropic's at the end."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**_message("gen-1-stream"), "usage": _usage(1)}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": _TEXT},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {**_usage(OUTPUT_TOKENS), "cost": _COST, "is_byok": False},
        },
        {"type": "message_stop"},
    ]
    data = [*events, "[DONE]"]
    names = [*(event["type"] for event in events), "data"]
    pieces = zip(names, sse(data), strict=True)
    steps = tuple(f"event: {name}\n".encode() + piece for name, piece in pieces)
    return replace(Answer.sse(data), steps=steps)


def _message(generation_id: str) -> dict[str, Any]:
    return {
        "id": generation_id,
        "type": "message",
        "role": "assistant",
        "model": "anthropic/claude-haiku-4.5",
        "provider": "Anthropic",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
        "cache_read_input_tokens": CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "output_tokens": output_tokens,
    }
