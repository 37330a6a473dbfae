"""The history of prices as a frame: which rates of which model were valid when."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl

from tachograph.analytics.schema import INSTANT
from tachograph.analytics.sources import Source, database
from tachograph.store import prices as stored
from tachograph.store.reading import reading
from tachograph.store.schema import UNIT_PRICES

UNIT_PRICE = pl.Decimal(38, 20)
"""USD per unit; what is finer than 10^-20 is rounded."""

PRICES = pl.Schema(
    {
        "id": pl.Int64(),
        "model": pl.String(),
        "canonical_slug": pl.String(),
        "alias_target": pl.String(),
        "provider": pl.String(),
        "endpoint_tag": pl.String(),
        "service_tier": pl.String(),
        "valid_from_at": INSTANT,
        "valid_until_at": INSTANT,
    }
    | dict.fromkeys(UNIT_PRICES, UNIT_PRICE)
    | {"discount": UNIT_PRICE, "source": pl.String(), "fetched_at": INSTANT}
)
"""Every column of a frame of prices; `provider` is null for a model's price in the listing.

A price is valid in [`valid_from_at`, `valid_until_at`), and still where the end is null. Rates
for long prompts and hours of the day (`overrides`) are not in it.
"""


def read_prices(source: Source) -> pl.DataFrame:
    """All prices ever entered, in the order in which they began to be valid."""
    with reading(database(source)) as engine, engine.connect() as connection:
        prices = stored.read_prices(connection)
    columns: dict[str, list[Any]] = {
        name: [getattr(price, _field(name)) for price in prices] for name in PRICES
    }
    for name in UNIT_PRICES:
        columns[name] = [_rounded(value) for value in columns[name]]
    raw = {name: pl.Int64() if kind == INSTANT else kind for name, kind in PRICES.items()}
    return pl.DataFrame(columns, schema=raw).cast(PRICES)


def _field(name: str) -> str:
    return name.removesuffix("_at") + "_us" if PRICES[name] == INSTANT else name


def _rounded(price: Decimal | None) -> Decimal | None:
    return None if price is None else round(price, 20)
