"""What tests of rollups share: calls put in and rolled up, any calls, and what must agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import polars.selectors as cs
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tachograph.analytics import (
    RolledUp,
    by_day,
    by_hour,
    by_model,
    by_model_and_provider,
    by_name,
    by_provider,
    roll_up,
)
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.schema import calls
from tests.analytics.rows import NOON

LATER = microseconds(NOON + timedelta(days=10))
REPORTS = (by_model, by_provider, by_model_and_provider, by_name, by_day)


def roll(url: str, **values: Any) -> RolledUp:
    """Rolls up as if it were ten days later, unless it is said to be another time."""
    return roll_up(url, **{"now_us": LATER} | values)


def add(url: str, *rows: dict[str, Any]) -> None:
    """Further calls for a database."""
    engine = open_engine(url)
    with write_transaction(engine) as connection:
        connection.execute(calls.insert(), list(rows))
    engine.dispose()


def run_sql(url: str, statement: str) -> None:
    """Changes a database by hand."""
    engine = open_engine(url)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def assert_alike(
    rollups: Callable[[Literal["hour", "day"]], pl.LazyFrame], some: pl.LazyFrame
) -> None:
    """What rollups by hour, and by day, say is what the calls say; floats up to rounding."""
    ways: tuple[Literal["hour", "day"], ...] = ("hour", "day")
    for every in ways:
        for report in (*REPORTS, *((by_hour,) if every == "hour" else ())):
            expected = report(some, quantiles="histogram").collect()
            found = report(rollups(every)).collect()
            floats = cs.float()
            assert_frame_equal(found.select(~floats), expected.select(~floats), check_exact=True)
            assert_frame_equal(found.select(floats), expected.select(floats), rel_tol=1e-9)


seconds = st.none() | st.sampled_from([0.0, 1e-9, 0.25, 1.5, 1e4]) | st.floats(0, 100)
tokens = st.none() | st.integers(0, 10**7)
usd = st.none() | st.integers(-(10**6), 2**63 - 1).map(lambda pico: Decimal(pico).scaleb(-12))
some_calls = st.lists(
    st.fixed_dictionaries(
        {
            "after": st.integers(0, 50).map(lambda n: timedelta(minutes=n * 47)),
            "model": st.sampled_from([None, "a", "b"]),
            "provider": st.sampled_from([None, "P"]),
            "name": st.sampled_from([None, "n"]),
            "outcome": st.sampled_from(["completed"] * 3 + ["failed", "abandoned", "refused"]),
            "stream": st.sampled_from([None, True, True, False]),
            "cache_status": st.sampled_from([None, None, "HIT"]),
            "latency_seconds": seconds,
            "first_token_seconds": seconds,
            "input_tokens": tokens,
            "output_tokens": tokens,
            "spent_picousd": usd,
            "billed_picousd": usd,
        }
    ),
    min_size=1,
    max_size=30,
)
"""What `row` takes, of two days."""
