"""Calls by the million that never happened: a data set for notebooks, examples and benchmarks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, overload

from tachograph.analytics.synthetic.calls import made_calls, made_frame
from tachograph.analytics.synthetic.worlds import Failure, Model, World
from tachograph.core.ids import uuid7
from tachograph.core.records import Price
from tachograph.core.units import microseconds
from tachograph.store.bulk import store_in_bulk
from tachograph.store.database import open_engine
from tachograph.store.insert import Ledger
from tachograph.store.migrate import upgrade
from tachograph.store.price_history import record_prices
from tachograph.store.prices import read_prices

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy.engine import Engine

BATCH_ROWS = 20_000

_OPENAI = ("OpenAI", "Azure")
_CLAUDE = ("Anthropic", "Amazon Bedrock", "Google")
_GOOGLE = ("Google", "Google AI Studio")
_OPEN = ("DeepInfra", "Fireworks", "Novita", "Together")

# pico-dollars per token: 250_000 is 0.25 USD per million
_MODELS = (
    Model("openai/gpt-5-mini", _OPENAI, 250_000, 2_000_000, 25_000, 22, 95, 0.7, 320, True),
    Model("openai/gpt-5.1", _OPENAI, 1_250_000, 10_000_000, 125_000, 7, 70, 1.1, 520, True),
    Model("anthropic/claude-haiku-4.5", _CLAUDE, 1_000_000, 5_000_000, 100_000, 14, 140, 0.5, 260),
    Model("anthropic/claude-sonnet-4.5", _CLAUDE, 3_000_000, 15_000_000, 300_000, 9, 75, 1.0, 430),
    Model("google/gemini-2.5-flash", _GOOGLE, 300_000, 2_500_000, 30_000, 16, 180, 0.4, 280),
    Model("google/gemini-2.5-pro", _GOOGLE, 1_250_000, 10_000_000, 125_000, 4, 85, 1.9, 600, True),
    Model("deepseek/deepseek-v4-pro", _OPEN[:3], 1_300_000, 2_600_000, None, 6, 45, 1.2, 480, True),
    Model("meta-llama/llama-4-maverick", _OPEN, 150_000, 600_000, None, 7, 110, 0.4, 300),
    Model("moonshotai/kimi-k3", _OPEN[1:3], 3_000_000, 15_000_000, 300_000, 2, 60, 0.9, 450),
    Model("qwen/qwen3.8-27b:free", ("ModelRun",), 0, 0, None, 5, 40, 1.6, 350),
    Model("mistralai/mistral-medium-4", ("Mistral",), 400_000, 2_000_000, None, 3, 90, 0.5, 280),
    Model("openai/text-embedding-3-small", _OPENAI, 20_000, 0, None, 8, 1e4, 0.25, 0),
    Model("stealth/preview", ("Stealth",), 500_000, 1_500_000, None, 1, 65, 0.9, 300, listed=False),
)  # fmt: skip
_LISTED = [model for model in _MODELS if model.listed]
_FAILURES = (
    Failure(429, "upstream_rate_limited", True, 0.45, 0.3),
    Failure(502, "provider_unavailable", True, 0.25, 1.5),
    Failure(503, "provider_overloaded", True, 0.10, 0.4),
    Failure(None, "read_timeout", True, 0.05, 60.0),
    Failure(200, "stream_cut", False, 0.05, 4.0, answers=True),
    Failure(400, "context_length_exceeded", False, 0.06, 0.2),
    Failure(402, "insufficient_credits", False, 0.02, 0.1),
    Failure(403, "moderation", False, 0.02, 0.3),
)
_PACE = {"Azure": 0.8, "Amazon Bedrock": 0.85, "Google AI Studio": 1.15, "Fireworks": 1.6,
         "DeepInfra": 0.75, "Novita": 0.9, "Together": 1.2}  # fmt: skip
_RUSH = (1.0,) * 8 + (1.1, 1.2, 1.3, 1.3, 1.2, 1.3, 1.5, 1.6, 1.5, 1.3, 1.2, 1.1) + (1.0,) * 4
_WORLD = World(
    models=_MODELS,
    failures=_FAILURES,
    pace=_PACE,
    rush=_RUSH,
    since=datetime(2026, 10, 1, tzinfo=UTC),
    days=30,
    cheaper="deepseek/deepseek-v4-pro",
    cheaper_at=datetime(2026, 10, 19, 16, tzinfo=UTC),
    cheaper_percent=60,
    noticed_at=datetime(2026, 10, 20, 6, tzinfo=UTC),
    outage_of="Fireworks",
    outage_at=datetime(2026, 10, 14, 9, tzinfo=UTC),
    outage_hours=5,
    search=7_000_000_000,
    price_ids=[
        *(_LISTED.index(model) + 1 if model.listed else None for model in _MODELS),
        len(_LISTED) + 1,
    ],
)


@overload
def generate_calls(n: int, seed: int = 0, to: None = None) -> pl.DataFrame: ...


@overload
def generate_calls(n: int, seed: int = 0, *, to: str) -> None: ...


def generate_calls(n: int, seed: int = 0, to: str | None = None) -> pl.DataFrame | None:
    """n made-up calls of October 2026, in the order of time: a frame, or rows into a database.

    Thirteen models of thirteen providers, of which one has no price, one is free and one embeds;
    busy days, slow afternoons and quiet nights; on the 14th an outage of Fireworks for five hours,
    from the 19th deepseek-v4-pro costs 60 %, which the price list tells half a day later;
    re-sendings, streams that were left early or cut off, cached and reasoning tokens, BYOK, web
    searches, and a few bills that nothing explains. The same n and seed give the same calls (with
    the same version of polars).
    `to` is the URL of a database, which is created if need be and gets the prices too.
    """
    if to is None:
        return made_frame(_WORLD, n, seed)
    engine = open_engine(to)
    try:
        upgrade(engine)
        _store(engine, replace(_WORLD, price_ids=_stored_prices(engine)), n, seed)
    finally:
        engine.dispose()
    return None


def _store(engine: Engine, world: World, n: int, seed: int) -> None:
    now = microseconds(datetime.now(UTC))
    ledger = Ledger(id=uuid7(now), began_us=now, last_seen_us=now, made=0, dropped={})
    chunks = made_calls(world, n, seed)
    first = next(chunks, None)
    if first is not None:
        batches = (
            batch.rows()
            for chunk in chain([first], chunks)
            for batch in chunk.iter_slices(BATCH_ROWS)
        )
        store_in_bulk(engine, first.columns, batches, ledger)


def _stored_prices(engine: Engine) -> list[int | None]:
    """The ids of the models' prices, and of the price that fell, after they were entered."""
    began, noticed = microseconds(_WORLD.since), microseconds(_WORLD.noticed_at)
    (cheaper,) = (model for model in _MODELS if model.id == _WORLD.cheaper)
    first = [_price(model, began) for model in _LISTED]
    record_prices(engine, first, began, "made up")
    record_prices(engine, [_price(cheaper, noticed, _WORLD.cheaper_percent)], noticed, "made up")
    with engine.connect() as connection:
        ids = {(price.model, price.valid_from_us): price.id for price in read_prices(connection)}
    return [*(ids.get((model.id, began)) for model in _MODELS), ids[cheaper.id, noticed]]


def _price(model: Model, since_us: int, percent: int = 100) -> Price:
    def usd(pico: int | None) -> Decimal | None:
        return None if pico is None else Decimal(pico * percent // 100).scaleb(-12)

    return Price(
        model=model.id,
        valid_from_us=since_us,
        prompt=usd(model.prompt),
        completion=usd(model.completion),
        input_cache_read=usd(model.cache_read),
    )
