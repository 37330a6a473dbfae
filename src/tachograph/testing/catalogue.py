"""The models that the stand-in offers, their prices, and what a call costs at them.

Ids, dated names and prices are modelled on OpenRouter's listing of autumn 2026; they are examples,
not offers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

CREATED = 1_780_000_000
"""When all of the models were listed, in seconds since 1970."""


@dataclass(frozen=True)
class Endpoint:
    """A provider that serves a model, and its prices: strings, in USD per token."""

    provider: str
    tag: str
    pricing: Mapping[str, str]


@dataclass(frozen=True)
class Model:
    """A model on offer. The listing shows the prices of its first endpoint."""

    id: str
    name: str
    canonical_slug: str
    endpoints: tuple[Endpoint, ...]
    context_length: int = 262_144
    answers_as: str | None = None
    """The `model` of its answers, where that is not the id."""
    routes_to: str | None = None
    """Of a router: the model that it chooses."""

    @property
    def pricing(self) -> Mapping[str, str]:
        return {"prompt": "-1", "completion": "-1"} if self.routes_to else self.endpoints[0].pricing


def _per_million(**usd: str) -> Mapping[str, str]:
    """Prices in USD per million tokens -> per token, as the API spells them."""
    return {name: f"{Decimal(price).scaleb(-6):f}" for name, price in usd.items()}


_GPT_5_MINI = _per_million(prompt="0.25", completion="2", input_cache_read="0.025")
_HAIKU = _per_million(
    prompt="1",
    completion="5",
    input_cache_read="0.1",
    input_cache_write="1.25",
    input_cache_write_1h="2",
)
_GEMINI_FLASH = _per_million(prompt="0.3", completion="2.5", input_cache_read="0.03")

MODELS = (
    Model(
        "openai/gpt-5-mini",
        "OpenAI: GPT-5 Mini",
        "openai/gpt-5-mini-2025-08-07",
        (Endpoint("OpenAI", "openai", _GPT_5_MINI), Endpoint("Azure", "azure", _GPT_5_MINI)),
        context_length=400_000,
        answers_as="openai/gpt-5-mini-2025-08-07",
    ),
    Model(
        "anthropic/claude-haiku-4.5",
        "Anthropic: Claude Haiku 4.5",
        "anthropic/claude-4.5-haiku-20251001",
        (
            Endpoint("Anthropic", "anthropic", _HAIKU),
            Endpoint("Amazon Bedrock", "amazon-bedrock", _HAIKU),
        ),
        context_length=200_000,
        answers_as="anthropic/claude-4.5-haiku-20251001",
    ),
    Model(
        "google/gemini-2.5-flash",
        "Google: Gemini 2.5 Flash",
        "google/gemini-2.5-flash",
        (
            Endpoint("Google", "google-vertex", _GEMINI_FLASH),
            Endpoint("Google AI Studio", "google-ai-studio", _GEMINI_FLASH),
        ),
        context_length=1_048_576,
    ),
    Model(
        "deepseek/deepseek-v4-pro",
        "DeepSeek: DeepSeek V4 Pro",
        "deepseek/deepseek-v4-pro-0813",
        (
            Endpoint("DeepInfra", "deepinfra", _per_million(prompt="1.3", completion="2.6")),
            Endpoint("NextBit", "nextbit", _per_million(prompt="1.056", completion="3.168")),
        ),
        answers_as="deepseek/deepseek-v4-pro-0813",
    ),
    Model(
        "moonshotai/kimi-k3",
        "MoonshotAI: Kimi K3",
        "moonshotai/kimi-k3-20260715",
        (
            Endpoint(
                "Fireworks",
                "fireworks",
                _per_million(prompt="3", completion="15", input_cache_read="0.3"),
            ),
            Endpoint(
                "Alibaba",
                "alibaba",
                _per_million(prompt="3.45", completion="17.25", input_cache_read="0.345"),
            ),
        ),
        context_length=1_048_576,
    ),
    Model(
        "google/gemma-4-31b-it",
        "Google: Gemma 4 31B",
        "google/gemma-4-31b-it-20260402",
        (
            Endpoint(
                "DeepInfra",
                "deepinfra/turbo",
                _per_million(prompt="0.09", completion="0.34", input_cache_read="0.05"),
            ),
            Endpoint("Novita", "novita/bf16", _per_million(prompt="0.14", completion="0.4")),
        ),
    ),
    Model(
        "qwen/qwen3.8-27b:free",
        "Qwen: Qwen3.8 27B (free)",
        "qwen/qwen3.8-27b",
        (Endpoint("ModelRun", "modelrun", _per_million(prompt="0", completion="0")),),
    ),
    Model(
        "openrouter/auto",
        "Auto Router",
        "openrouter/auto",
        (),
        context_length=2_000_000,
        routes_to="openai/gpt-5-mini",
    ),
)
"""Seven models of nine providers, and a router."""


@dataclass(frozen=True)
class Bill:
    """USD, exact."""

    prompt: Decimal
    completion: Decimal

    @property
    def total(self) -> Decimal:
        return self.prompt + self.completion


def bill(
    pricing: Mapping[str, str],
    *,
    prompt_tokens: int,
    completion_tokens: int,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
) -> Bill:
    """What the tokens cost; a cached token costs as much as another where no price says less."""

    def rate(name: str) -> Decimal:
        return Decimal(pricing.get(name, pricing["prompt"]))

    fresh = prompt_tokens - cached_tokens - cache_write_tokens
    return Bill(
        fresh * rate("prompt")
        + cached_tokens * rate("input_cache_read")
        + cache_write_tokens * rate("input_cache_write"),
        completion_tokens * rate("completion"),
    )


def listing(models: Sequence[Model]) -> dict[str, Any]:
    """The answer of `/models`."""
    return {
        "data": [
            {
                "id": model.id,
                "canonical_slug": model.canonical_slug,
                "name": model.name,
                "created": CREATED,
                "description": f"{model.name}, served by a stand-in for OpenRouter.",
                "context_length": model.context_length,
                "architecture": _ARCHITECTURE,
                "pricing": model.pricing,
                "top_provider": {
                    "context_length": model.context_length,
                    "max_completion_tokens": None,
                    "is_moderated": False,
                },
                "per_request_limits": None,
                "supported_parameters": _PARAMETERS,
                "links": {"details": f"/api/v1/models/{model.id}/endpoints"},
            }
            for model in models
        ],
        "total_count": len(models),
        "links": {"next": None},
    }


def endpoints(model: Model) -> dict[str, Any]:
    """The answer of `/models/{author}/{slug}/endpoints`."""
    return {
        "data": {
            "id": model.id,
            "name": model.name,
            "created": CREATED,
            "description": f"{model.name}, served by a stand-in for OpenRouter.",
            "architecture": _ARCHITECTURE,
            "endpoints": [
                {
                    "name": f"{endpoint.provider} | {model.canonical_slug}",
                    "model_id": model.id,
                    "model_name": model.name,
                    "context_length": model.context_length,
                    "pricing": {**endpoint.pricing, "discount": 0},
                    "provider_name": endpoint.provider,
                    "tag": endpoint.tag,
                    "quantization": "unknown",
                    "max_completion_tokens": None,
                    "max_prompt_tokens": None,
                    "supported_parameters": _PARAMETERS,
                    "status": 0,
                    "uptime_last_30m": 100,
                    "supports_implicit_caching": "input_cache_read" in endpoint.pricing,
                    "latency_last_30m": None,
                    "throughput_last_30m": None,
                }
                for endpoint in model.endpoints
            ],
        }
    }


_ARCHITECTURE = {
    "modality": "text->text",
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    "tokenizer": "Other",
    "instruct_type": None,
}
_PARAMETERS = ["max_tokens", "reasoning", "response_format", "temperature", "tools", "top_p"]
