"""Columns of `calls` under the names and in the units of the records."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tachograph.store.column_types import Instant
from tachograph.store.schema import calls

PRICED = (
    "path",
    "request_model",
    "parameters",
    "started_us",
    "response_model",
    "provider",
    "service_tier",
    "cache_status",
)
"""What a row needs for `PriceBook.cost`, beside the usage."""


def record_column(name: str) -> sa.ColumnElement[Any]:
    """Money as Decimal by its `_usd` name, instants as microseconds, the rest as it is."""
    if name.endswith("_usd"):
        return calls.c[name.removesuffix("_usd") + "_picousd"].label(name)
    column = calls.c[name]
    if isinstance(column.type, Instant):
        return sa.type_coerce(column, sa.BigInteger).label(name)
    return column
