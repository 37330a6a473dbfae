"""What tokens cost and when, and what OpenRouter said later of single calls."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Index, Integer, Text

from tachograph.store.column_types import ExactDecimal, Id, Instant, Money
from tachograph.store.tables.metadata import column, metadata

_PER_UNIT = (
    ("prompt", "per input token"),
    ("completion", "per output token"),
    ("request", "per call"),
    ("image", "per input image, or its token, by model"),
    ("image_token", "per input image token"),
    ("image_output", "per output image token"),
    ("audio", "per input audio token"),
    ("audio_output", "per output audio token"),
    ("input_audio_cache", "per cached input audio token"),
    ("web_search", "per search"),
    ("internal_reasoning", "per reasoning token"),
    ("input_cache_read", "per cached input token"),
    ("input_cache_write", "per input token written to a cache of five minutes"),
    ("input_cache_write_1h", "per input token written to a cache of one hour"),
)

UNIT_PRICES = tuple(name for name, _ in _PER_UNIT)

prices = sa.Table(
    "prices",
    metadata,
    column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "what `calls.price_id` names",
        primary_key=True,
        nullable=False,
    ),
    column("model", Text, "id of the listing", nullable=False),
    column("canonical_slug", Text, "the dated name that answers may carry"),
    column("alias_target", Text, "the model behind an alias"),
    column("provider", Text, "null: the listing's own price"),
    column("endpoint_tag", Text, "`deepinfra/turbo`; null: the listing's own price"),
    column("service_tier", Text, "null: the default tier"),
    column("valid_from_us", Instant, "from here on", nullable=False),
    column("valid_until_us", Instant, "before this instant; null: still"),
    *(column(name, ExactDecimal, f"USD {unit}") for name, unit in _PER_UNIT),
    column("discount", ExactDecimal, "the price is taken times (1 - discount)"),
    column("overrides", Text, "JSON array: rates for long prompts or hours of the day"),
    column("source", Text, "where it was read"),
    column("fetched_us", Instant, "when it was read"),
    Index("ix_prices_model", "model"),
)

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    column("call_id", Id, "the call that was looked up", primary_key=True, nullable=False),
    column("asked_us", Instant, "when `/generation` was last asked", nullable=False),
    column("found", Boolean, "it knew the generation; false: it never will", nullable=False),
    column("total_picousd", Money, "its `total_cost`"),
    sqlite_with_rowid=False,
)
