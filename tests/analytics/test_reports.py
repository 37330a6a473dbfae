"""Reports against sums made by hand, and against DuckDB on the same calls."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tachograph.analytics.frames import scan_calls
from tachograph.analytics.reports import (
    by,
    by_model,
    by_model_and_provider,
    by_name,
    by_provider,
    by_session,
    by_tag,
    by_user,
    tag,
    where,
)
from tachograph.analytics.scanning import explain_sql
from tachograph.analytics.schema import CALLS
from tachograph.analytics.summary import Quantiles
from tests.analytics.conftest import Store
from tests.analytics.rows import calls_frame, row

STREAM = {"stream": True, "cache_status": None}
COLUMNS = [
    "calls",
    "completed",
    "failed",
    "abandoned",
    "refused",
    "failure_rate",
    "latency_p50_seconds",
    "latency_p95_seconds",
    "latency_p99_seconds",
    "first_token_p50_seconds",
    "first_token_p95_seconds",
    "output_tokens_per_second",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "reasoning_output_tokens",
    "billed_usd",
    "computed_usd",
    "spent_usd",
    "calls_without_cost",
    "spent_usd_per_1000_calls",
]


BY_HAND = calls_frame(
    # a/big: two streams, a plain answer from a cache, a failure with a partial answer
    {"model": "a/big", "provider": "P", "stream": True, "latency_seconds": 2.0,
     "first_token_seconds": 0.5, "input_tokens": 100, "output_tokens": 30,
     "cache_read_input_tokens": 80, "reasoning_output_tokens": 0,
     "billed_usd": Decimal("0.000000000001"), "computed_usd": Decimal("0.000000000003"),
     "spent_usd": Decimal("0.000000000001")},
    {"model": "a/big", "provider": "P", "stream": True, "latency_seconds": 4.5,
     "first_token_seconds": 1.0, "input_tokens": 200, "output_tokens": 70,
     "billed_usd": Decimal("0.1"), "spent_usd": Decimal("0.3")},
    {"model": "a/big", "provider": "Q", "latency_seconds": 0.001, "cache_status": "HIT",
     "output_tokens": 5, "billed_usd": Decimal(0), "spent_usd": Decimal(0)},
    {"model": "a/big", "provider": None, "stream": True, "outcome": "failed",
     "latency_seconds": 60.0, "first_token_seconds": 0.1, "output_tokens": 1000},
    # b/small: nothing that is known of cost
    {"model": "b/small", "provider": "Q", "outcome": "abandoned", "latency_seconds": 1.0},
    {"model": "b/small", "provider": "Q", "outcome": "refused"},
    # no model: one plain answer without a price
    {"model": None, "provider": "Q", "latency_seconds": 3.0, "stream": False,
     "first_token_seconds": None, "output_tokens": 9, "input_tokens": 0},
)  # fmt: skip


def test_by_model_by_hand() -> None:
    report = by_model(BY_HAND)
    assert report.columns == ["model", *COLUMNS]
    big, small, unknown = report.rows(named=True)
    assert big == {
        "model": "a/big",
        "calls": 4,
        "completed": 3,
        "failed": 1,
        "abandoned": 0,
        "refused": 0,
        "failure_rate": 0.25,
        "latency_p50_seconds": 2.0,  # no cache's 0.001, no failure's 60
        "latency_p95_seconds": 4.5,
        "latency_p99_seconds": 4.5,
        "first_token_p50_seconds": 0.5,
        "first_token_p95_seconds": 1.0,
        "output_tokens_per_second": 20.0,  # (30 + 70) / (1.5 + 3.5)
        "input_tokens": 300,
        "output_tokens": 1105,
        "cache_read_input_tokens": 80,
        "reasoning_output_tokens": 0,
        "billed_usd": Decimal("0.100000000001"),
        "computed_usd": Decimal("0.000000000003"),
        "spent_usd": Decimal("0.300000000001"),
        "calls_without_cost": 1,
        "spent_usd_per_1000_calls": Decimal("75.000000000250"),
    }
    assert small == dict.fromkeys(report.columns) | {
        "model": "b/small",
        "calls": 2,
        "completed": 0,
        "failed": 0,
        "abandoned": 1,
        "refused": 1,
        "calls_without_cost": 2,
    }
    assert unknown == dict.fromkeys(report.columns) | {
        "model": None,
        "calls": 1,
        "completed": 1,
        "failed": 0,
        "abandoned": 0,
        "refused": 0,
        "failure_rate": 0.0,
        "latency_p50_seconds": 3.0,
        "latency_p95_seconds": 3.0,
        "latency_p99_seconds": 3.0,
        "input_tokens": 0,
        "output_tokens": 9,
        "calls_without_cost": 1,
    }


def test_by_provider_by_hand() -> None:
    report = by_provider(BY_HAND)
    assert report.columns == ["provider", *COLUMNS]
    assert report.select("provider", "calls", "spent_usd", "calls_without_cost").rows() == [
        ("P", 2, Decimal("0.300000000001"), 0),
        ("Q", 4, Decimal(0), 3),
        (None, 1, None, 1),
    ]


def test_the_other_groupings_differ_only_in_their_keys() -> None:
    frame = BY_HAND.with_columns(
        session_id=pl.Series(["s", "s", None, None, None, None, None]),
        user_id=pl.Series(["u", None, "v", "v", "v", "v", "v"]),
        name=pl.Series(["n", "n", "n", "n", "n", "n", "m"]),
    )
    assert by_model_and_provider(frame).select("model", "provider", "calls").rows() == [
        ("a/big", "P", 2),
        ("a/big", "Q", 1),
        ("b/small", "Q", 2),
        ("a/big", None, 1),
        (None, "Q", 1),
    ]
    assert by_session(frame).select("session_id", "calls").rows() == [("s", 2), (None, 5)]
    assert by_user(frame).select("user_id", "calls").rows() == [(None, 1), ("u", 1), ("v", 5)]
    assert by_name(frame).select("name", "calls").rows() == [("n", 6), ("m", 1)]
    streams = by(frame, pl.col("stream").fill_null(value=False).alias("streamed"))
    assert streams.select("streamed", "calls").rows() == [(True, 3), (False, 4)]


def test_tags_filter_and_group() -> None:
    tags = ['{"team": "search", "a.b": 5}', '{"team": "ads"}', '{"team": "search"}', None, "{}"]
    frame = calls_frame(*({"tags": text} for text in tags))
    assert by_tag(frame, "team").select("team", "calls").rows() == [
        ("search", 2),
        (None, 2),
        ("ads", 1),
    ]
    assert frame.filter(tag("team") == "search").height == 2
    assert frame.select(tag("a.b"))["a.b"].to_list() == ["5", None, None, None, None]
    for key in ("it's", 'say "x"', "$", "*", "[0]", "\u00fc"):
        encoded = calls_frame({"tags": json.dumps({key: "value", "other": 1})})
        assert encoded.select(tag(key)).item() == "value", key
    with pytest.raises(ValueError, match="backslash"):
        tag("a\\b")


def test_a_condition_written_as_in_sql() -> None:
    frame = calls_frame({"provider": "P", "spent_usd": Decimal("0.1")}, {"provider": "Q"})
    assert len(frame.filter(where("provider = 'P' AND spent_usd >= 0.1"))) == 1
    assert len(frame.filter(where("spent_usd IS NULL"))) == 1
    for text in ("nonsense = 1", "provider =", "provider > 5", ""):
        with pytest.raises(ValueError, match="is no condition on calls"):
            where(text)


def test_quantiles_are_the_smallest_value_with_that_share() -> None:
    """The 95th of a hundred is the 95th, of twenty the 19th, and of one that one."""
    for count, p50, p95, p99 in [(1, 1, 1, 1), (2, 1, 2, 2), (20, 10, 19, 20), (100, 50, 95, 99)]:
        frame = calls_frame(*({"latency_seconds": float(n)} for n in range(count, 0, -1)))
        report = by_model(frame)
        assert report.select(r"^latency_p.*$").row(0) == (p50, p95, p99)


@pytest.mark.parametrize("quantiles", ["exact", "histogram"])
def test_the_schema_is_the_same_when_empty(quantiles: Any) -> None:
    money, seconds = pl.Decimal(38, 12), pl.Float64
    expected = {
        "model": pl.String,
        **dict.fromkeys(COLUMNS[:5], pl.Int64),
        **dict.fromkeys(COLUMNS[5:12], seconds),
        **dict.fromkeys(COLUMNS[12:16], pl.Int64),
        **dict.fromkeys(COLUMNS[16:19], money),
        "calls_without_cost": pl.Int64,
        "spent_usd_per_1000_calls": money,
    }
    for frame in (CALLS.to_frame(), BY_HAND):
        report = by_model(frame, quantiles=quantiles)
        assert dict(report.schema) == expected
        assert dict(by_model(frame.lazy(), quantiles=quantiles).collect_schema()) == expected
    assert by_model(CALLS.to_frame(), quantiles=quantiles).is_empty()


def test_a_lazy_frame_is_not_collected() -> None:
    def explode(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError

    lazy = BY_HAND.lazy().map_batches(explode, schema=CALLS)
    assert isinstance(by_model(lazy), pl.LazyFrame)
    assert isinstance(by_model(lazy, quantiles="histogram"), pl.LazyFrame)


def test_money_beyond_what_an_integer_holds_is_summed_exactly() -> None:
    most = Decimal(2**63 - 1).scaleb(-12)
    frame = calls_frame(*({"spent_usd": most} for _ in range(5)))
    assert by_model(frame)["spent_usd"].item() == most * 5


def test_it_reads_only_what_it_needs(store: Store) -> None:
    url = store([row(0, model="a", spent_picousd=Decimal(1)), row(1, model="b")])
    report = by_model(scan_calls(url)).select("model", "calls", "spent_usd")
    (sql,) = explain_sql(report)
    assert {name for name in CALLS if f"AS {name}" in sql} == {"model", "spent_usd"}
    assert report.collect().rows() == [("a", 1, 1), ("b", 1, None)]


seconds = st.none() | st.sampled_from([0.0, 1e-9, 0.25, 0.25, 1.5, 3.0, 1e4]) | st.floats(0, 100)
tokens = st.none() | st.integers(0, 10**7)
usd = st.none() | st.integers(0, 10**15).map(lambda pico: Decimal(pico).scaleb(-12))
some_calls = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from([None, "a", "b"]),
            "outcome": st.sampled_from(["completed"] * 3 + ["failed", "abandoned", "refused"]),
            "stream": st.sampled_from([None, True, True, False]),
            "cache_status": st.sampled_from([None, None, "HIT", "MISS"]),
            "latency_seconds": seconds,
            "first_token_seconds": seconds,
            "input_tokens": tokens,
            "output_tokens": tokens | st.sampled_from([0, 1, 2]),
            "cache_read_input_tokens": tokens,
            "reasoning_output_tokens": tokens,
            "billed_usd": usd,
            "computed_usd": usd,
            "spent_usd": usd,
        }
    ),
    max_size=60,
)

IN_SQL = """
SELECT
    {key},
    count(*) AS calls,
    count(*) FILTER (outcome = 'completed') AS completed,
    count(*) FILTER (outcome = 'failed') AS failed,
    count(*) FILTER (outcome = 'abandoned') AS abandoned,
    count(*) FILTER (outcome = 'refused') AS refused,
    failed / nullif(completed + failed, 0) AS failure_rate,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served),
    percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served),
    percentile_disc(0.50) WITHIN GROUP (ORDER BY first_token_seconds) FILTER (served),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY first_token_seconds) FILTER (served),
    sum(output_tokens) FILTER (wrote) / sum(latency_seconds - first_token_seconds) FILTER (wrote),
    sum(input_tokens),
    sum(output_tokens),
    sum(cache_read_input_tokens),
    sum(reasoning_output_tokens),
    sum(billed_usd),
    sum(computed_usd),
    sum(spent_usd) AS spent,
    count(*) FILTER (spent_usd IS NULL),
FROM (
    SELECT
        *,
        outcome = 'completed' AND coalesce(cache_status, '') <> 'HIT' AS served,
        outcome = 'completed' AND stream AND output_tokens >= 2
            AND latency_seconds > first_token_seconds AS wrote
    FROM calls
)
GROUP BY {key}
ORDER BY spent DESC NULLS LAST, calls DESC, {key} NULLS LAST
"""


@given(some_calls)
@settings(max_examples=60, deadline=None)
def test_by_model_is_what_duckdb_says(rows: list[dict[str, Any]]) -> None:
    frame = calls_frame(*rows)
    with duckdb.connect() as engine:
        engine.register("calls", frame.to_arrow())
        expected = engine.sql(IN_SQL.format(key="model")).fetchall()
    report = by_model(frame)
    found = report.drop("spent_usd_per_1000_calls").rows()
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one[:12] == other[:12]
        assert one[12] == (None if other[12] is None else pytest.approx(other[12], rel=1e-12))
        assert one[13:] == other[13:]
    for line in report.iter_rows(named=True):
        if line["spent_usd"] is not None:
            exactly = line["spent_usd"] * 1000 / line["calls"]
            assert line["spent_usd_per_1000_calls"] == exactly.quantize(Decimal("1E-12"))


@given(some_calls)
@settings(max_examples=60, deadline=None)
def test_the_histogram_has_the_same_sums_and_quantiles_within_one_percent(
    rows: list[dict[str, Any]],
) -> None:
    frame = calls_frame(*rows)
    exact, rough = by_model(frame), by_model(frame, quantiles="histogram")
    floats = [name for name in exact.columns if exact[name].dtype == pl.Float64]
    assert rough.drop(floats).equals(exact.drop(floats))
    for name in floats:
        for one, other in zip(rough[name], exact[name], strict=True):
            assert one == (None if other is None else pytest.approx(other, rel=0.0101, abs=1e-12))


@pytest.mark.parametrize("quantiles", ["exact", "histogram"])
@pytest.mark.parametrize("column", COLUMNS)
def test_one_column_of_a_report_is_as_it_stands_in_the_whole(
    column: str, quantiles: Quantiles
) -> None:
    wanted = by_model(BY_HAND.lazy(), quantiles=quantiles).select("model", column)
    assert wanted.collect().equals(by_model(BY_HAND, quantiles=quantiles).select("model", column))
