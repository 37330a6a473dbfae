"""What calls would have cost elsewhere: the price's own formula, over a whole frame."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.analytics import cost_at, read_calls, read_prices
from tachograph.analytics.prices import PRICES
from tachograph.core.pricing import compute
from tachograph.core.records import Price, Usage
from tachograph.testing import generate_calls
from tests.analytics.rows import calls_frame

rates = st.integers(0, 10**8).map(lambda pico: Decimal(pico).scaleb(-12))
counts = st.integers(0, 10**6)


@given(
    rates,
    rates,
    st.none() | rates,
    st.none() | st.integers(0, 100).map(lambda percent: Decimal(percent).scaleb(-2)),
    st.lists(st.tuples(counts, st.none() | st.integers(0, 99), st.none() | counts), max_size=5),
)
def test_it_is_the_formula_of_costs(
    prompt: Decimal,
    completion: Decimal,
    cached: Decimal | None,
    discount: Decimal | None,
    calls: list[tuple[int, int | None, int | None]],
) -> None:
    rated: dict[str, Any] = {"prompt": prompt, "completion": completion, "input_cache_read": cached}
    prices = listed({"model": "a/model", "discount": discount, **rated})
    price = Price(model="a/model", valid_from_us=0, discount=discount, **rated)
    usages: list[dict[str, Any]] = [
        {
            "input_tokens": tokens,
            "cache_read_input_tokens": None if share is None else tokens * share // 100,
            "output_tokens": written,
        }
        for tokens, share, written in calls
    ]
    found = calls_frame(*usages).select(cost_at(prices, "a/model"))["cost_usd"].to_list()
    for usd, usage in zip(found, usages, strict=True):
        if usage["output_tokens"] is None:
            assert usd is None
        else:
            expected = compute(Usage(**usage), price, 0)
            assert expected is not None
            assert abs(usd - expected) <= Decimal("1E-12")


def test_a_model_at_its_own_price_costs_what_was_computed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/made.db"
    generate_calls(500, to=url)
    calls = read_calls(url).filter(
        pl.col("cache_status").is_null(), model="anthropic/claude-haiku-4.5"
    )
    own = calls.select(cost_at(read_prices(url), "anthropic/claude-haiku-4.5"))["cost_usd"]
    assert own.to_list() == calls["computed_usd"].to_list()
    assert own.drop_nulls().sum() > 0


def test_a_model_without_a_price_is_told() -> None:
    with pytest.raises(ValueError, match="'a/model' has no listed price"):
        cost_at(
            listed({"model": "another", "prompt": Decimal(1), "completion": Decimal(1)}), "a/model"
        )
    with pytest.raises(ValueError, match=r"; did you mean a/model\?$"):
        cost_at(listed({"model": "a/model"}), "model")
    with pytest.raises(ValueError, match="not priced by input and output tokens"):
        cost_at(listed({"model": "a/model"}), "a/model")


def listed(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(PRICES) | row for row in rows], schema=PRICES)
