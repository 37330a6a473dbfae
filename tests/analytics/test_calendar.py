"""Days and hours, also those in which nothing was called."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from tachograph.analytics.calendar import by_day, by_hour, day
from tachograph.analytics.reports import by
from tests.analytics.rows import calls_frame

FRAME = calls_frame(
    {"started_at": datetime(2026, 10, 24, 23, 30, tzinfo=UTC), "spent_usd": Decimal(1)},
    {"started_at": datetime(2026, 10, 25, 3, 0, tzinfo=UTC), "input_tokens": 5},
    {"started_at": datetime(2026, 10, 27, 0, 0, tzinfo=UTC), "spent_usd": Decimal(2)},
)


def test_a_day_without_calls_has_counts_and_sums_of_zero_and_no_rates() -> None:
    report = by_day(FRAME)
    assert report.select("day", "calls", "spent_usd", "calls_without_cost").rows() == [
        (date(2026, 10, 24), 1, Decimal(1), 0),
        (date(2026, 10, 25), 1, None, 1),
        (date(2026, 10, 26), 0, Decimal(0), 0),
        (date(2026, 10, 27), 1, Decimal(2), 0),
    ]
    gap = report.row(2, named=True)
    assert (gap["failed"], gap["input_tokens"], gap["billed_usd"]) == (0, 0, 0)
    assert gap["failure_rate"] is None
    assert gap["latency_p50_seconds"] is None
    assert gap["spent_usd_per_1000_calls"] is None


def test_days_are_those_of_the_place() -> None:
    report = by_day(FRAME, time_zone="Europe/Berlin")
    assert report.select("day", "calls").rows() == [
        (date(2026, 10, 25), 2),
        (date(2026, 10, 26), 0),
        (date(2026, 10, 27), 1),
    ]


def test_hours_go_on_over_the_change_of_the_clocks() -> None:
    """In Berlin the hour from 2 to 3 came twice on this night."""
    report = by_hour(FRAME.head(2), time_zone="Europe/Berlin")
    assert report["calls"].to_list() == [1, 0, 0, 0, 1]
    assert [f"{hour:%H%z}" for hour in report["hour"]] == [
        "01+0200",
        "02+0200",
        "02+0100",
        "03+0100",
        "04+0100",
    ]


def test_lazy_and_empty() -> None:
    lazy = by_day(FRAME.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(by_day(FRAME))
    assert lazy.collect_schema() == by_day(FRAME).schema == by_day(FRAME.clear()).schema
    assert by_hour(FRAME.clear()).is_empty()


def test_a_day_is_a_key_like_any_other() -> None:
    assert by(FRAME, day(), pl.col("model")).select("day", "calls").rows() == [
        (date(2026, 10, 27), 1),
        (date(2026, 10, 24), 1),
        (date(2026, 10, 25), 1),
    ]
