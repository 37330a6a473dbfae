"""What `/generation` says of a call."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tachograph.openrouter.generation import read_generation
from tests.required import missing

TRANSCRIBED = Path(__file__).parents[2] / ".." / "shared" / "openrouter" / "transcribed" / "other"


def answer(**data: Any) -> bytes:
    return json.dumps({"data": {"id": "gen-1", "total_cost": 0.5, **data}}).encode()


def test_a_recorded_stream_that_was_cancelled() -> None:
    file = TRANSCRIBED / "generation-cancelled-stream.2026-02-24.json"
    if not file.exists():
        missing("the recorded exchanges are not here")
    found = read_generation(file.read_bytes())
    assert found.id == "gen-1771967973-0hZ8J5kY7qLMOKbPx0u3"
    assert found.usage.billed_usd == Decimal("0.00003452")
    assert found.usage.upstream_usd is None, "it says 0, which without an own key means nothing"
    assert (found.usage.input_tokens, found.usage.output_tokens) == (64, 98), "native, not normal"
    assert (found.provider, found.finish_reason) == ("DeepInfra", None)


def test_a_recorded_fallback() -> None:
    file = TRANSCRIBED / "generation-with-fallback.excerpt.2026-02-25.json"
    if not file.exists():
        missing("the recorded exchanges are not here")
    found = read_generation(file.read_bytes())
    assert (found.provider, found.usage.billed_usd) == ("Google AI Studio", Decimal("0.0001402"))
    assert found.usage.input_tokens is None


def test_the_users_own_key() -> None:
    usage = read_generation(answer(is_byok=True, upstream_inference_cost=0.25)).usage
    assert (usage.is_byok, usage.upstream_usd) == (True, Decimal("0.25"))


def test_counts() -> None:
    usage = read_generation(
        answer(native_tokens_cached=1, native_tokens_reasoning=2, native_tokens_completion_images=3)
    ).usage
    assert usage.cache_read_input_tokens == 1
    assert usage.reasoning_output_tokens == 2
    assert usage.image_output_tokens == 3


def test_text_is_fit_for_a_database() -> None:
    assert read_generation(answer(provider_name="Deep\0Infra")).provider == "DeepInfra"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"data": null}',
        b'{"data": {"id": "gen-1"}}',
        answer(total_cost=None),
        answer(total_cost="NaN"),
        answer(total_cost="Infinity"),
        answer(total_cost=1e300),
        answer(native_tokens_prompt=-1),
        answer(native_tokens_prompt=2**64),
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer of /generation"):
        read_generation(body)
