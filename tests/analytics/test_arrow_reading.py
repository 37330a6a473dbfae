"""Calls that come as Arrow from processes of their own are the same as through Python's driver."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tachograph.analytics import read_calls, scan_calls
from tachograph.analytics.schema import CALLS
from tachograph.store import arrow_reading
from tachograph.store.column_types import Id, Instant, Money
from tachograph.store.queries import select_calls
from tachograph.store.schema import calls
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, row

LARGEST = 2**63 - 1
PICO = Decimal("1E-12")

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
_values: dict[type[Any], st.SearchStrategy[Any]] = {
    sa.LargeBinary: st.binary(min_size=8, max_size=16),
    sa.Text: _text | st.sampled_from(["a'b", "100%:lo", "\\x41", "<first id>", "\U0001f600"]),
    sa.SmallInteger: st.integers(-(2**15), 2**15 - 1),
    sa.Integer: st.integers(-(2**31), 2**31 - 1),
    sa.BigInteger: st.integers(-LARGEST - 1, LARGEST) | st.integers(0, 9),
    sa.Double: st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 5e-324]),
    sa.Boolean: st.booleans(),
    Money: st.integers(-LARGEST, LARGEST).map(lambda n: n * PICO),
}
_WORDS = {"outcome": ["completed", "failed"], "cost_source": ["billed", "unknown"]}


@st.composite
def stored_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls with anything in their columns that fits there; many nulls, also in a row."""
    rows = []
    for at in draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=30)):
        values = {}
        for column in calls.columns:
            if isinstance(column.type, Id | Instant):
                continue
            value = (
                st.sampled_from(_WORDS[column.name])
                if column.name in _WORDS
                else _values[type(column.type)]
            )
            values[column.name] = draw(st.none() | value if column.nullable else value)
        rows.append(row(timedelta(microseconds=at), **values))
    return rows


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=stored_rows())
def test_no_value_is_another(store: Store, rows: list[dict[str, Any]]) -> None:
    url = store(rows)  # beside those of the examples before
    slowly = read_calls(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_reading, "MANY_ROWS", 1)
        told: list[str] = []
        patch.setattr(arrow_reading.logger, "warning", lambda *args: told.append(str(args)))
        quickly = read_calls(url)
        with arrow_reading.arrow_streams(url, select_calls(["id"])) as streams:
            assert streams is not None, "tested is the one way against itself"
    assert not told
    assert quickly.schema == CALLS
    assert_frame_equal(quickly, slowly, check_exact=True)


HARD = "it's 100%:lo \\x41 <first id>"
PREDICATES = [
    pl.col("name") == HARD,
    pl.col("name").str.contains("'s 100%", literal=True),
    pl.col("name").str.starts_with("it's"),
    pl.col("name").is_in([HARD, "b"]),
    ~(pl.col("name") == HARD),
    pl.col("name").eq_missing(HARD),
    pl.col("input_tokens") == -LARGEST,
    pl.col("latency_seconds") < -0.5,
    pl.col("latency_seconds") > 1e300,
    pl.col("spent_usd") >= PICO,
    pl.col("stream"),
    pl.col("stream").eq_missing(pl.lit(value=False)),
    pl.col("trace_id") == "ab" * 16,
    pl.col("started_at") >= NOON + timedelta(seconds=2),
    pl.col("started_at").is_between(NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)),
    (pl.col("id") < str(UUID(bytes=b"\x01" * 16))) | pl.col("provider").is_null(),
]


def test_a_filter_keeps_the_same_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    url = store(
        [
            row(0, name=HARD, input_tokens=-LARGEST, latency_seconds=-1.5, stream=True),
            row(1, name="it's", input_tokens=5, latency_seconds=1.7e308, spent_picousd=PICO),
            row(2, name=None, stream=False, trace_id=b"\xab" * 16, spent_picousd=Decimal(0)),
            row(3, name="b", provider="NextBit", spent_picousd=Decimal(3)),
        ]
    )
    monkeypatch.setattr(arrow_reading, "MANY_ROWS", 1)
    everything = read_calls(url)
    for predicate in PREDICATES:
        kept = scan_calls(url).filter(predicate).sort("id").collect()
        assert_frame_equal(kept, everything.filter(predicate), check_exact=True)
        assert 0 < len(kept) < 4, predicate
