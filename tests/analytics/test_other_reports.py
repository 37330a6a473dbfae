"""Latency, errors, retries, caches, money per success, and periods compared: by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tachograph import analytics
from tachograph.analytics.caching import cache
from tachograph.analytics.calendar import by_day, by_hour
from tachograph.analytics.comparison import compare, top
from tachograph.analytics.failures import cost_per_success, errors, retries
from tachograph.analytics.latencies import latency
from tachograph.analytics.operation_rows import operations
from tachograph.analytics.prices import PRICES, read_prices
from tachograph.analytics.reports import by, by_model_and_provider, by_tag
from tachograph.core.records import Price
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.price_history import record_prices
from tachograph.testing import generate_calls
from tests.analytics.rows import NOON, calls_frame

DAY = timedelta(days=1)


def test_latency_leaves_out_failures_and_caches_unless_asked() -> None:
    stream = {"model": "a", "stream": True, "output_tokens": 100, "first_token_seconds": 1.0}
    frame = calls_frame(
        *(stream | {"latency_seconds": seconds} for seconds in (2.0, 3.0, 6.0)),
        stream | {"latency_seconds": 99.0, "outcome": "failed"},
        {"model": "a", "latency_seconds": 0.01, "cache_status": "HIT"},
        {"model": "b", "latency_seconds": 5.0},
    )
    a, b = latency(frame).rows(named=True)
    assert a == {
        "model": "a",
        "calls": 3,
        "latency_p50_seconds": 3.0,
        "latency_p90_seconds": 6.0,
        "latency_p95_seconds": 6.0,
        "latency_p99_seconds": 6.0,
        "latency_max_seconds": 6.0,
        "first_token_p50_seconds": 1.0,
        "first_token_p90_seconds": 1.0,
        "first_token_p95_seconds": 1.0,
        "first_token_p99_seconds": 1.0,
        "output_tokens_per_second": 37.5,  # 300 / (1 + 2 + 5)
        "output_tokens_per_second_p50": 50.0,  # of 100, 50 and 20
        "seconds_per_output_token": 8 / 300,
    }
    assert (b["calls"], b["latency_p50_seconds"]) == (1, 5.0)
    assert b["output_tokens_per_second"] is None
    both = latency(frame, pl.col("provider"), outcomes=("completed", "failed"), cache_hits=True)
    assert both.select("provider", "calls", "latency_max_seconds").rows() == [(None, 6, 99.0)]


def test_errors_by_kind() -> None:
    limited = {"outcome": "failed", "error_type": "rate_limited", "http_status": 429}
    frame = calls_frame(
        limited | {"model": "a", "started_at": NOON, "error_message": "old"},
        limited | {"model": "b", "started_at": NOON + 2 * DAY},
        limited | {"model": "b", "started_at": NOON + DAY, "error_message": "new"},
        {"outcome": "abandoned", "error_type": "cancelled", "spent_usd": Decimal(1)},
        {"outcome": "abandoned"},
        {"outcome": "refused"},
        {"outcome": "completed"},
    )
    first, second, refused = errors(frame).rows(named=True)
    assert first == {
        "outcome": "failed",
        "error_type": "rate_limited",
        "http_status": 429,
        "calls": 3,
        "models": 2,
        "providers": 0,
        "first_at": NOON,
        "last_at": NOON + 2 * DAY,
        "spent_usd": None,
        "calls_without_cost": 3,
        "message": "new",
        "share": pytest.approx(0.6),
    }
    assert (refused["outcome"], refused["error_type"], refused["calls"]) == ("refused", None, 1)
    assert (second["outcome"], second["error_type"], second["spent_usd"]) == (
        "abandoned",
        "cancelled",
        1,
    )
    by_model = errors(frame, pl.col("model"))
    assert by_model.select("model", "calls").rows() == [("b", 2), (None, 2), ("a", 1)]


def test_retries_by_the_model_that_was_tried_first() -> None:
    def call(operation: str, second: int, resend: int, outcome: str) -> dict[str, Any]:
        return {
            "id": f"{operation}{second}",
            "operation_id": operation,
            "model": operation[0],
            "started_at": NOON + timedelta(seconds=second),
            "latency_seconds": 1.0,
            "resend_count": resend,
            "outcome": outcome,
        }

    frame = calls_frame(
        call("a1", 0, 0, "failed"),
        call("a1", 3, 1, "completed"),
        call("a2", 5, 0, "failed"),
        call("a2", 7, 1, "failed"),
        call("a2", 9, 2, "failed"),
        call("a3", 11, 0, "completed"),
        call("b1", 13, 0, "failed"),
    )
    assert retries(frame).rows(named=True) == [
        {
            "model": "a",
            "operations": 3,
            "retried": 2,
            "recovered": 1,
            "given_up": 1,
            "recovery_rate": 0.5,
            "resends": 3,
            "waiting_seconds": 4.0,
        },
        {
            "model": "b",
            "operations": 1,
            "retried": 0,
            "recovered": 0,
            "given_up": 0,
            "recovery_rate": None,
            "resends": 0,
            "waiting_seconds": 0.0,
        },
    ]


def test_cost_per_success() -> None:
    frame = calls_frame(
        {"model": "a", "spent_usd": Decimal(1)},
        {"model": "a", "spent_usd": Decimal(2)},
        {"model": "a", "spent_usd": Decimal(1), "outcome": "failed"},
        {"model": "a", "outcome": "abandoned"},
        {"model": "b", "spent_usd": Decimal(1), "outcome": "failed"},
    )
    names = ("calls", "completed", "spent_usd", "wasted_usd", "spent_usd_per_success")
    assert cost_per_success(frame).select("model", *names).rows() == [
        ("a", 4, 2, Decimal(4), Decimal(1), Decimal(2)),
        ("b", 1, 0, Decimal(1), Decimal(1), None),
    ]


@pytest.fixture
def prices(tmp_path: Path) -> pl.DataFrame:
    url = f"sqlite:///{tmp_path}/prices.db"
    engine = open_engine(url)
    upgrade(engine)
    read = [
        Price(
            model="a",
            valid_from_us=0,
            prompt=Decimal("0.000003"),
            input_cache_read=Decimal("0.0000003"),
            input_cache_write=Decimal("0.00000375"),
            discount=Decimal("0.5"),
        ),
        Price(model="b", valid_from_us=0, prompt=Decimal("0.000001")),
    ]
    record_prices(engine, read, microseconds(NOON), "test")
    engine.dispose()
    return read_prices(url)


def test_prices_are_exact(prices: pl.DataFrame) -> None:
    assert prices.schema == PRICES
    first = prices.row(0, named=True)
    assert (first["model"], first["valid_from_at"], first["valid_until_at"]) == ("a", NOON, None)
    assert first["input_cache_write"] == Decimal("0.00000375")
    assert first["completion"] is None


def test_what_caches_saved(prices: pl.DataFrame) -> None:
    ids = dict(prices.select("model", "id").rows())
    a = {"model": "a", "price_id": ids["a"]}
    frame = calls_frame(
        a | {"input_tokens": 1000, "cache_read_input_tokens": 600, "cache_write_input_tokens": 0},
        a | {"input_tokens": 1000, "cache_read_input_tokens": 0, "cache_write_input_tokens": 400},
        a | {"input_tokens": 7},
        a | {"cache_status": "HIT"},
        {"model": "b", "price_id": ids["b"], "input_tokens": 10, "cache_read_input_tokens": 0},
        {"model": "c", "input_tokens": 10, "cache_read_input_tokens": 5},
    )
    rows = {line["model"]: line for line in cache(frame, prices=prices).rows(named=True)}
    assert rows["a"] == {
        "model": "a",
        "calls": 4,
        "input_tokens": 2007,
        "cache_read_input_tokens": 600,
        "cache_write_input_tokens": 400,
        "cached_input_rate": 0.3,
        "answers_from_cache": 1,
        "cache_hit_rate": 0.25,
        # (600 x 2.7 - 400 x 0.75) millionths of a dollar, at half the price
        "saved_usd": Decimal("0.00066"),
    }
    assert rows["b"]["saved_usd"] == 0
    assert rows["c"]["saved_usd"] is None
    assert cache(frame).sort("model")["saved_usd"].to_list() == [None, 0, None]
    assert cache(frame).schema == cache(frame, prices=prices).schema


def test_two_periods_side_by_side() -> None:
    frame = calls_frame(
        {"model": "a", "started_at": NOON, "spent_usd": Decimal("0.5"), "latency_seconds": 2.0},
        {"model": "a", "started_at": NOON + DAY, "spent_usd": Decimal("0.7")},
        {"model": "a", "started_at": NOON + DAY, "outcome": "failed"},
        {"model": "old", "started_at": NOON, "spent_usd": Decimal(1)},
        {"model": None, "started_at": NOON + DAY, "spent_usd": Decimal(3)},
        {"model": "a", "started_at": NOON - DAY, "spent_usd": Decimal(100)},
    )
    report = compare(frame, (NOON, NOON + DAY), (NOON + DAY, None))
    columns = ["calls_before", "calls_after", "calls_change", "spent_usd_change"]
    assert report.select("model", *columns).rows() == [
        (None, 0, 1, 1, Decimal(3)),
        ("a", 1, 2, 1, Decimal("0.2")),
        ("old", 1, 0, -1, Decimal(-1)),
    ]
    a = report.row(1, named=True)
    assert (a["failure_rate_before"], a["failure_rate_after"]) == (0.0, 0.5)
    assert a["failure_rate_change"] == 0.5
    assert a["latency_p50_seconds_change"] is None


def test_a_text_is_no_pair_of_instants() -> None:
    with pytest.raises(ValueError, match=r"'2026-10-01' is no period: write \(since, until\)"):
        compare(calls_frame({}), "2026-10-01", "2026-10-02")  # type: ignore[arg-type]


def test_a_period_the_wrong_way_round_is_told() -> None:
    with pytest.raises(ValueError, match="is before since"):
        compare(calls_frame({}), ("1w", "2w"), ("1w", None))


def test_top() -> None:
    frame = calls_frame(
        *({"id": str(n), "spent_usd": Decimal(n % 3), "latency_seconds": n / 10} for n in range(6)),
        {"id": "9"},
    )
    assert top(frame, 3)["id"].to_list() == ["2", "5", "1"]
    assert top(frame, by="latency_seconds")["id"].to_list() == ["5", "4", "3", "2", "1", "0"]


REPORTS: list[Callable[[Any], Any]] = [
    latency,
    errors,
    retries,
    cost_per_success,
    cache,
    top,
    lambda frame: compare(frame, ("2w", "1w"), ("1w", None)),
    operations,
    by_day,
    by_hour,
    by_model_and_provider,
    lambda frame: by_tag(frame, "team"),
]


@pytest.mark.parametrize("report", REPORTS)
def test_lazy_frames_are_not_collected_and_schemas_do_not_change(
    report: Callable[[Any], Any],
) -> None:
    def explode(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError

    frame = calls_frame({"id": "1", "operation_id": "1", "started_at": NOON, "resend_count": 0})
    lazy = report(frame.lazy().map_batches(explode, schema=frame.schema))
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect_schema() == report(frame).schema == report(frame.clear()).schema


@pytest.mark.parametrize("report", REPORTS)
def test_both_kinds_of_frames_give_the_same(report: Callable[[Any], Any]) -> None:
    calls = generate_calls(600)
    assert_frame_equal(report(calls), report(calls.lazy()).collect())


def changes(calls: pl.DataFrame, key: Any) -> pl.DataFrame:
    return compare(calls, (None, "2026-10-15"), ("2026-10-15", None), key)


@pytest.mark.parametrize("report", [by, latency, errors, retries, cost_per_success, cache, changes])
def test_a_key_may_be_the_name_of_a_column(report: Callable[..., Any]) -> None:
    calls = generate_calls(600)
    assert_frame_equal(report(calls, "name"), report(calls, pl.col("name")))


def test_public_names_are_there_and_none_is_hidden_by_a_module() -> None:
    homes = set(analytics._HOME.values())
    for name in analytics.__all__:
        assert getattr(analytics, name) is not None
        assert name not in homes
    assert set(dir(analytics)) == set(analytics.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        analytics.nonsense  # noqa: B018
