"""Recorded calls: what we compute is what OpenRouter billed, wherever the tokens tell it all."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tachograph.core.pricing import compute, settle
from tachograph.core.records import Price, Usage
from tachograph.openrouter.usage import read_usage
from tests.required import missing

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "openrouter"
TOLERANCE = Decimal("1E-9")


def rates(prompt: str, completion: str, read: str | None = None, **others: str) -> Price:
    """Per million tokens; `request` and `web_search` each."""
    names = {"prompt": prompt, "completion": completion, "input_cache_read": read, **others}
    exact = {
        name: Decimal(value) / (1 if name in ("request", "web_search") else 1_000_000)
        for name, value in names.items()
        if value is not None
    }
    return Price(model="m", valid_from_us=0, **exact)  # type: ignore[arg-type]


CLAUDE = rates("3", "15", "0.3", input_cache_write="3.75", input_cache_write_1h="6")
PRICES = {
    "anthropic/claude-4.5-sonnet-20250929": CLAUDE,
    "anthropic/claude-4.6-sonnet-20260217": CLAUDE,
    "anthropic/claude-sonnet-4.5": CLAUDE,
    "deepseek/deepseek-chat": rates("0.2574", "1.0287", web_search="0.007"),
    "google/gemini-2.5-flash": rates("0.3", "2.5", "0.03", input_cache_write="0.083333333333"),
    "google/gemini-3.6-flash": rates("1.5", "7.5"),
    "minimax/minimax-m2:free": rates("0", "0"),
    "openai/gpt-4.1-mini": rates("0.4", "1.6", "0.1", web_search="0.01"),
    "openai/gpt-4o": rates("2.5", "10", "1.25"),
    "openai/gpt-4o-mini": rates("0.15", "0.6", "0.075"),
    "openai/gpt-5-mini": rates("0.25", "2", "0.025"),
    "openai/gpt-5-mini-2025-08-07": rates("0.25", "2", "0.025"),
    "openai/gpt-5-nano": rates("0.05", "0.4", "0.005"),
    "openai/gpt-5.1-codex-mini": rates("0.25", "2", "0.025"),
    "openai/gpt-5.6-sol": rates("5", "30", "0.5", input_cache_write="6.25"),
    "openai/gpt-oss-20b": rates("0.05", "0.2"),
    "openai/o3": rates("2", "8", "0.5"),
    "qwen/qwen3-30b-a3b-instruct-2507": rates("0.1", "0.3"),
    "text-embedding-3-small": rates("0.02", "0"),
    "x-ai/grok-4": rates("3", "15", "0.75"),
    "z-ai/glm-4.6": rates("0.6", "2.2"),
}

BESIDE_TOKENS = {
    "test_openrouter_advisor_tool.yaml": "another model's whole call",
    "test_openrouter_advisor_tool_stream.yaml": "another model's whole call",
    "test_openrouter_file_annotation.yaml": "pages that were recognised",
}
"""Recordings whose bill holds something that no token count tells."""


def read(usage: Any, path: str) -> Usage:
    found = read_usage(SimpleNamespace(usage=json.dumps(usage).encode(), path=path))  # type: ignore[arg-type]
    assert found is not None
    return found


def recorded() -> list[Any]:
    index = RECORDINGS / "INDEX.jsonl"
    if not index.exists():
        return []
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    return [line for line in lines if line["usage"] and "cost" in line["usage"]]


def test_recordings_are_there() -> None:
    if not recorded():
        missing("the recorded exchanges are not here")


@pytest.mark.parametrize(
    "line", recorded(), ids=lambda line: f"{Path(line['file']).stem}-{line['n']}"
)
def test_computed_is_what_was_billed(line: Any) -> None:
    usage = read(line["usage"], line["path"])
    computed = compute(usage, PRICES[line["model"]], 0)
    assert computed is not None
    cost = settle(usage, computed)
    assert cost.cost_source == "billed"
    assert cost.spent_usd is not None
    difference = cost.spent_usd - computed
    if Path(line["file"]).name in BESIDE_TOKENS:
        assert difference > Decimal("0.001")
    else:
        assert abs(difference) <= TOLERANCE


@pytest.mark.parametrize(
    ("path", "usage", "price"),
    [
        pytest.param(
            "/messages",
            {
                "input_tokens": 2412,
                "output_tokens": 1036,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 36811,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "cost": 0.0225462,
            },
            rates("2", "10", "0.2"),
            id="messages, cached and thinking",
        ),
        pytest.param(
            "/chat/completions",
            {
                "prompt_tokens": 21170,
                "completion_tokens": 957,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4379},
                "server_tool_use_details": {"web_search_requests": 2},
                "cost": 0.02560135,
            },
            rates("0.2", "1.2", input_cache_write="0.25", web_search="0.01"),
            id="native web search",
        ),
        pytest.param(
            "/chat/completions",
            {
                "prompt_tokens": 30,
                "completion_tokens": 1370,
                "server_tool_use_details": {"web_search_requests": 2},
                "cost": 0.031434,
            },
            rates("0.3", "2.5", web_search="0.014"),
            id="Google's web search",
        ),
        pytest.param(
            "/chat/completions",
            {
                "prompt_tokens": 7,
                "completion_tokens": 1304,
                "completion_tokens_details": {"image_tokens": 1290},
                "cost": 0.0387371,
            },
            rates("0.3", "2.5", image_output="30"),
            id="an image",
        ),
    ],
)
def test_other_bills(path: str, usage: Any, price: Price) -> None:
    found = read(usage, path)
    computed = compute(found, price, 0)
    assert computed is not None
    assert found.billed_usd is not None
    assert abs(computed - found.billed_usd) <= TOLERANCE
