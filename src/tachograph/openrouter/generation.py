"""`GET /generation?id=`: what OpenRouter knows of one generation afterwards -> Generation.

It is there a while after the call has ended: at first, and for requests that failed for ever, the
answer is 404.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from tachograph.core.pricing import round_usd
from tachograph.core.records import Usage
from tachograph.openrouter.text import clean
from tachograph.openrouter.usage import MOST_COUNT

PATH = "/generation"

BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""How long to wait before each next question about a generation that is not there yet."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged for a generation, and what it was."""

    id: str
    usage: Usage
    """With `billed_usd`; `upstream_usd` only for calls with the user's own provider key."""
    provider: str | None
    finish_reason: str | None
    native_finish_reason: str | None
    service_tier: str | None


def read_generation(body: bytes) -> Generation:
    """The generation of an answer; ValueError when it is not one, or says no cost."""
    try:
        data = msgspec.json.decode(body, type=_Answer).data
        billed = round_usd(data.total_cost)
        upstream = None
        if data.is_byok and data.upstream_inference_cost is not None:
            upstream = round_usd(data.upstream_inference_cost)
    except (msgspec.DecodeError, ArithmeticError) as error:
        raise ValueError(f"not an answer of /generation: {error}") from error
    if billed is None:
        raise ValueError(f"not an answer of /generation: total_cost {data.total_cost}")
    return Generation(
        id=data.id,
        usage=Usage(
            input_tokens=data.native_tokens_prompt,
            output_tokens=data.native_tokens_completion,
            cache_read_input_tokens=data.native_tokens_cached,
            reasoning_output_tokens=data.native_tokens_reasoning,
            image_output_tokens=data.native_tokens_completion_images,
            billed_usd=billed,
            upstream_usd=upstream,
            is_byok=data.is_byok,
        ),
        provider=_text(data.provider_name),
        finish_reason=_text(data.finish_reason),
        native_finish_reason=_text(data.native_finish_reason),
        service_tier=_text(data.service_tier),
    )


def _text(sent: str | None) -> str | None:
    return None if sent is None else clean(sent)


_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_COUNT)]


class _Data(msgspec.Struct):
    id: str
    total_cost: Decimal
    upstream_inference_cost: Decimal | None = None
    is_byok: bool | None = None
    provider_name: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    service_tier: str | None = None
    native_tokens_prompt: _Count | None = None
    native_tokens_completion: _Count | None = None
    native_tokens_reasoning: _Count | None = None
    native_tokens_cached: _Count | None = None
    native_tokens_completion_images: _Count | None = None


class _Answer(msgspec.Struct):
    data: _Data
