"""Calls that were stored before their price was known."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tachograph.core.records import Price
from tachograph.core.units import microseconds
from tachograph.errors import StoreError
from tachograph.store import backfill as module
from tachograph.store.backfill import backfill
from tachograph.store.database import open_engine
from tachograph.store.price_history import record_prices
from tachograph.store.schema import calls
from tests.stored import NOON, store


def know_price(engine: sa.Engine, since_us: int = 0) -> None:
    price = Price(
        model="a/b",
        canonical_slug="a/b-2026",
        valid_from_us=0,
        prompt=Decimal("0.000001"),
        completion=Decimal("0.000002"),
    )
    record_prices(engine, [price], microseconds(NOON) * 2, "test", valid_from_us=since_us)


def money(engine: sa.Engine) -> list[tuple[Any, ...]]:
    columns = (calls.c.model, calls.c.computed_picousd, calls.c.spent_picousd, calls.c.cost_source)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(calls.c.id))]


TOKENS: dict[str, Any] = {"input_tokens": 10, "output_tokens": 5, "request_model": "a/b"}
COST = Decimal("0.00002")


def test_computed_is_filled_and_spent_where_it_was_unknown(engine: sa.Engine) -> None:
    store(
        engine,
        TOKENS,
        TOKENS | {"billed_usd": 1, "spent_usd": 1, "cost_source": "billed"},
        TOKENS | {"spent_usd": 2, "cost_source": "reconciled"},
        TOKENS | {"is_byok": True, "billed_usd": 0},
        TOKENS | {"request_model": "openrouter/auto", "response_model": "a/b-2026", "model": "x"},
        TOKENS | {"request_model": "no/price", "model": "no/price"},
        {"request_model": "a/b", "model": "kept", "outcome": "failed"},
        TOKENS | {"computed_usd": 3, "spent_usd": 3, "cost_source": "computed"},
    )
    assert backfill(engine) == 0, "nothing is known yet"
    know_price(engine)
    looked_at: list[int] = []
    assert backfill(engine, looked_at.append) == 5
    assert looked_at == [6]
    assert money(engine) == [
        ("a/b", COST, COST, "computed"),
        ("a/b", COST, Decimal(1), "billed"),
        ("a/b", COST, Decimal(2), "reconciled"),
        ("a/b", COST, COST, "computed"),
        ("a/b", COST, COST, "computed"),
        ("no/price", None, None, "unknown"),
        ("kept", None, None, "unknown"),
        (None, Decimal(3), Decimal(3), "computed"),
    ]
    assert backfill(engine) == 0


def test_calls_before_the_price_was_valid_stay_unknown(engine: sa.Engine) -> None:
    store(engine, TOKENS, TOKENS)
    know_price(engine, since_us=microseconds(NOON) + 1)
    assert backfill(engine) == 1
    assert [row[1] for row in money(engine)] == [None, COST]


def test_many_calls_are_filled_batch_by_batch(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LACKING", module._LACKING.limit(10))
    rows = [TOKENS | {"request_model": "a/b" if n % 3 else "no/price"} for n in range(35)]
    store(engine, *rows)
    know_price(engine)
    looked_at: list[int] = []
    assert backfill(engine, looked_at.append) == 23
    assert looked_at == [10, 10, 10, 5]


def test_a_failure_names_the_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StoreError, match=r"empty\.db: no such table: calls"):
        backfill(engine)
    engine.dispose()
