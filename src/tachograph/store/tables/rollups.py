"""Sums by hour and day, and what of them is to be made again."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Double, Integer, SmallInteger, Text

from tachograph.store.column_types import Instant, Money
from tachograph.store.tables.metadata import column, metadata

rollups = sa.Table(
    "rollups",
    metadata,
    column("hours", SmallInteger, "1: of an hour; 24: of a day (UTC)", primary_key=True),
    column("started_us", Instant, "when that hour or day began", primary_key=True),
    column("number", Integer, "counts the rows of an hour or day", primary_key=True),
    column("model", Text, "of the calls that this row sums up"),
    column("provider", Text, "of these calls"),
    column("outcome", Text, "of these calls", nullable=False),
    column("name", Text, "of their operations"),
    column("calls", BigInteger, "how many they are", nullable=False),
    column("calls_without_cost", BigInteger, "how many have no spent_usd", nullable=False),
    column("input_tokens", BigInteger, "sum of what is known; null when nothing is"),
    column("output_tokens", BigInteger, "likewise"),
    column("cache_read_input_tokens", BigInteger, "likewise"),
    column("reasoning_output_tokens", BigInteger, "likewise"),
    column("billed_picousd", Money, "likewise"),
    column("computed_picousd", Money, "likewise"),
    column("spent_picousd", Money, "likewise"),
    column("generated_tokens", BigInteger, "output_tokens of completed streams of 2 or more"),
    column("generation_seconds", Double, "sum of latency - first token of these streams"),
    column("latency_histogram", sa.LargeBinary, "of completed calls that no cache answered"),
    column("first_token_histogram", sa.LargeBinary, "of those among them that have one"),
    column("run", BigInteger, "the run of `tachograph rollup` that made this row", nullable=False),
    sqlite_with_rowid=False,
)
"""Rows may be added up as one likes. A histogram is a sequence of 4 bytes, the lowest first:
2^20 x (the number of the bucket + 2048) + how many values it holds; a bucket may stand there
more than once. `analytics/histogram.py` tells which values fall into a bucket."""

rollup_progress = sa.Table(
    "rollup_progress",
    metadata,
    column("id", Integer, "there is one row", primary_key=True),
    column("run", BigInteger, "counts how often it was rolled up", nullable=False),
    column("watched_until_us", Instant, "a change before this leaves a note", nullable=False),
    column("rolled_until_us", Instant, "all before this is rolled up", nullable=False),
)

rollup_changes = sa.Table(
    "rollup_changes",
    metadata,
    column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "order of arrival",
        primary_key=True,
    ),
    column("hour_us", Instant, "an hour of which a call was added or changed", nullable=False),
)

rollup_gaps = sa.Table(
    "rollup_gaps",
    metadata,
    column(
        "hour_us",
        Instant,
        "an hour of which calls were archived or deleted",
        primary_key=True,
        autoincrement=False,
    ),
    sqlite_with_rowid=False,
)
