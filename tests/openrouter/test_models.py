"""The many names of a model, and the one under which its calls are counted."""

from __future__ import annotations

import pytest

from tachograph.core.records import Price
from tachograph.openrouter.models import ModelNames, names_others, without_routing_variant


def listed(model: str, slug: str | None = None, alias_target: str | None = None) -> Price:
    return Price(model=model, canonical_slug=slug, alias_target=alias_target, valid_from_us=0)


NAMES = ModelNames(
    [
        listed("anthropic/claude-haiku-4.5", "anthropic/claude-4.5-haiku-20251001"),
        listed("openai/gpt-6-luna-pro:batch", "openai/gpt-6-luna-pro-20260922"),
        listed("openai/gpt-6-luna-pro", "openai/gpt-6-luna-pro-20260922"),
        listed("deepseek/r1:free", "deepseek/r1-0528"),
        listed("openai/text-embedding-3-small", "openai/text-embedding-3-small"),
        listed("~anthropic/haiku-latest", None, "anthropic/claude-4.5-haiku-20251001"),
        listed("openrouter/auto", "openrouter/auto"),
        listed("x-ai/grok-4", "x-ai/grok-4-07-09"),
    ]
)

CASES = [
    # asked, answered, others named -> with a catalogue, without
    ("x-ai/grok-4", "x-ai/grok-4", False, "x-ai/grok-4", "x-ai/grok-4"),
    ("x-ai/grok-4", None, False, "x-ai/grok-4", "x-ai/grok-4"),
    (
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-4.5-haiku-20251001",
        False,
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-haiku-4.5",
    ),
    ("x-ai/grok-4:nitro", "x-ai/grok-4", False, "x-ai/grok-4", "x-ai/grok-4"),
    ("x-ai/grok-4:online:floor", None, False, "x-ai/grok-4", "x-ai/grok-4"),
    ("new/model:exacto", "new/model-2027", False, "new/model", "new/model"),
    ("new/model", None, False, "new/model", "new/model"),
    # a variant is a model of its own, also when the answer leaves it out
    (
        "openai/gpt-6-luna-pro:batch",
        "openai/gpt-6-luna-pro-20260922",
        False,
        "openai/gpt-6-luna-pro:batch",
        "openai/gpt-6-luna-pro:batch",
    ),
    (
        "openai/gpt-6-luna-pro",
        "openai/gpt-6-luna-pro-20260922",
        False,
        "openai/gpt-6-luna-pro",
        "openai/gpt-6-luna-pro",
    ),
    ("deepseek/r1:free", "deepseek/r1-0528:free", False, "deepseek/r1:free", "deepseek/r1:free"),
    # no author in the answer
    (
        "openai/text-embedding-3-small",
        "text-embedding-3-small",
        False,
        "openai/text-embedding-3-small",
        "openai/text-embedding-3-small",
    ),
    # somebody else chooses the model
    (
        "openrouter/auto",
        "anthropic/claude-4.5-haiku-20251001",
        False,
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-4.5-haiku-20251001",
    ),
    ("openrouter/auto", None, False, None, None),
    ("deepseek/r1:free", "x-ai/grok-4", True, "x-ai/grok-4", "x-ai/grok-4"),
    ("deepseek/r1:free", "somebody/new", True, "somebody/new", "somebody/new"),
    ("deepseek/r1:free", None, True, None, None),
    ("@preset/mail", "x-ai/grok-4-07-09", False, "x-ai/grok-4", "x-ai/grok-4-07-09"),
    ("x-ai/grok-4@preset/mail", None, False, None, None),
    # an alias
    ("~anthropic/haiku-latest", None, False, "anthropic/claude-haiku-4.5", None),
    (
        "~anthropic/haiku-latest",
        "anthropic/claude-4.5-haiku-20251001",
        False,
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-4.5-haiku-20251001",
    ),
    ("~unknown/latest", "a/b-2027", False, "a/b-2027", "a/b-2027"),
    # no model in the request, or an empty one in the answer
    (None, "x-ai/grok-4-07-09", False, "x-ai/grok-4", "x-ai/grok-4-07-09"),
    (None, None, False, None, None),
    ("x-ai/grok-4", "", False, "x-ai/grok-4", "x-ai/grok-4"),
]


@pytest.mark.parametrize(("asked", "answered", "others", "found", "without"), CASES)
def test_the_model_of_a_call(
    asked: str | None, answered: str | None, others: bool, found: str | None, without: str | None
) -> None:
    assert NAMES.resolve(asked, answered, others_named=others) == found
    assert ModelNames().resolve(asked, answered, others_named=others) == without


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("a/b:nitro", "a/b"),
        ("a/b:floor:online", "a/b"),
        ("a/b:free:nitro", "a/b:free"),
        ("a/b:thinking", "a/b:thinking"),
        ("a/b", "a/b"),
        (":nitro", ""),
    ],
)
def test_variants_that_choose_a_provider_are_taken_off(model: str, expected: str) -> None:
    assert without_routing_variant(model) == expected


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("/chat/completions", None, False),
        ("/chat/completions", '{"seed":1}', False),
        ("/chat/completions", '{"models":["a/b"]}', True),
        ("/chat/completions", '{"models":[]}', False),
        ("/chat/completions", '{"preset":"mail"}', True),
        ("/chat/completions", '{"provider":{"models":1}}', False),
        ("/presets/{slug}/chat/completions", None, True),
    ],
)
def test_requests_that_name_other_models(path: str, parameters: str | None, expected: bool) -> None:
    assert names_others(path, parameters) is expected
