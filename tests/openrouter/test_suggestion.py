"""A name that is nearly a model's is met with that model."""

from __future__ import annotations

import pytest

from tachograph.openrouter.suggestion import meant

MODELS = ["openai/gpt-5-mini", "anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-4.5"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("claude-haiku-4.5", "; did you mean anthropic/claude-haiku-4.5?"),
        (
            "Claude",
            "; did you mean anthropic/claude-haiku-4.5 or anthropic/claude-sonnet-4.5?",
        ),
        ("openai/gtp-5-mini", "; did you mean openai/gpt-5-mini?"),
        ("x-ai/grok-4", ""),
        ("", ""),
    ],
)
def test_what_may_have_been_meant(written: str, said: str) -> None:
    assert meant(written, MODELS) == said
    assert meant(written, []) == ""
