"""Reports by what calls have in common, against queries written from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

import polars as pl
import pytest

from tachograph.analytics import (
    by,
    by_day,
    by_hour,
    by_model,
    by_model_and_provider,
    by_name,
    by_provider,
    by_session,
    by_tag,
    by_user,
    total,
)
from tachograph.analytics.summary import Frame
from tests.analytics.proof import Proof

FACTS = """
    SELECT *,
        outcome = 'completed' AND coalesce(cache_status, '') <> 'HIT' AS served,
        outcome = 'completed' AND stream AND output_tokens >= 2
            AND latency_seconds > first_token_seconds AS wrote
    FROM calls
"""
SUMMARY = """
    count(*) AS calls,
    count(*) FILTER (outcome = 'completed') AS completed,
    count(*) FILTER (outcome = 'failed') AS failed,
    count(*) FILTER (outcome = 'abandoned') AS abandoned,
    count(*) FILTER (outcome = 'refused') AS refused,
    failed / nullif(completed + failed, 0) AS failure_rate,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served)
        AS latency_p50_seconds,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served)
        AS latency_p95_seconds,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_seconds) FILTER (served)
        AS latency_p99_seconds,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY first_token_seconds) FILTER (served)
        AS first_token_p50_seconds,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY first_token_seconds) FILTER (served)
        AS first_token_p95_seconds,
    sum(output_tokens) FILTER (wrote) / sum(latency_seconds - first_token_seconds) FILTER (wrote)
        AS output_tokens_per_second,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(reasoning_output_tokens) AS reasoning_output_tokens,
    sum(billed_usd) AS billed_usd,
    sum(computed_usd) AS computed_usd,
    sum(spent_usd) AS spent_usd,
    count(*) FILTER (spent_usd IS NULL) AS calls_without_cost
"""
PER_THOUSAND = "spent_usd_per_1000_calls"
"""Money that is divided: DuckDB has no exact division, so Python's decimals check it."""

TEAM = "json_extract_string(tags, '$.team')"


def grouped(*keys: str) -> str:
    chosen = ", ".join(keys)
    names = [key.rpartition(" AS ")[2] for key in keys]
    order = ", ".join(f"{name} NULLS LAST" for name in names)
    return f"""
        SELECT {chosen}, {SUMMARY} FROM ({FACTS}) GROUP BY {", ".join(names)}
        ORDER BY spent_usd DESC NULLS LAST, calls DESC, {order}
    """


def assert_same(proof: Proof, report: Frame, sql: str) -> None:
    whole = report.lazy().collect()
    assert whole.columns[-1] == PER_THOUSAND
    proof.same(whole.drop(PER_THOUSAND), sql)
    for line in whole.select("spent_usd", "calls", PER_THOUSAND).iter_rows(named=True):
        assert line[PER_THOUSAND] == per_thousand(line["spent_usd"], line["calls"])


def per_thousand(spent: Decimal | None, calls: int) -> Decimal | None:
    if spent is None or not calls:
        return None
    exact = Context(prec=60, rounding=ROUND_HALF_EVEN)
    return exact.quantize(exact.divide(spent * 1000, calls), Decimal("1E-12"))


Report = Callable[[pl.LazyFrame], pl.LazyFrame]

GROUPINGS: list[tuple[Report, list[str]]] = [
    (by_model, ["model"]),
    (by_provider, ["provider"]),
    (by_model_and_provider, ["model", "provider"]),
    (by_session, ["session_id"]),
    (by_user, ["user_id"]),
    (by_name, ["name"]),
    (lambda calls: by_tag(calls, "team"), [f"{TEAM} AS team"]),
    (
        lambda calls: by(calls, pl.col("outcome").cast(pl.String), pl.col("stream")),
        ["outcome", "stream"],
    ),
]


@pytest.mark.parametrize(("report", "keys"), GROUPINGS)
def test_groupings(proof: Proof, report: Report, keys: list[str]) -> None:
    assert_same(proof, report(proof.calls), grouped(*keys))


def by_time(unit: str, key: str, every: str) -> str:
    """From the first call to the last; where nothing was called, counts and sums are 0."""
    sums = ["calls", "completed", "failed", "abandoned", "refused", "calls_without_cost"]
    sums += ["input_tokens", "output_tokens", "cache_read_input_tokens"]
    sums += ["reasoning_output_tokens", "billed_usd", "computed_usd", "spent_usd"]
    zeroes = ", ".join(
        f"CASE WHEN calls IS NULL THEN 0 ELSE {name} END::{kind} AS {name}"
        for name in sums
        for kind in ["DECIMAL(38, 12)" if name.endswith("_usd") else "HUGEINT"]
    )
    whole_unit = "instant::DATE" if unit == "day" else "instant"
    return f"""
        WITH groups AS (SELECT {key} AS {unit}, {SUMMARY} FROM ({FACTS}) GROUP BY {unit}),
        whole AS (
            SELECT unnest(generate_series(min({unit}), max({unit}), INTERVAL {every})) AS instant
            FROM groups
        )
        SELECT {whole_unit} AS {unit}, groups.* EXCLUDE {unit} REPLACE ({zeroes})
        FROM whole LEFT JOIN groups ON instant = {unit} ORDER BY instant
    """


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"])
def test_days(proof: Proof, zone: str) -> None:
    there = f"(started_at AT TIME ZONE '{zone}')"
    sql = by_time("day", f"{there}::DATE", "1 day")
    assert_same(proof, by_day(proof.calls, time_zone=zone), sql)


def test_hours(proof: Proof) -> None:
    sql = by_time("hour", "date_trunc('hour', started_at)", "1 hour")
    assert_same(proof, by_hour(proof.calls), sql)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata"])
def test_hours_of_another_zone_are_instants_too(proof: Proof, zone: str) -> None:
    """Also where a clock is put back: there are two hours from two to three then."""
    shift = "INTERVAL 30 minutes" if zone == "Asia/Kolkata" else "INTERVAL 0 minutes"
    key = f"date_trunc('hour', started_at + {shift}) - {shift}"
    assert_same(proof, by_hour(proof.calls, time_zone=zone), by_time("hour", key, "1 hour"))


def test_the_total_of_a_report_is_that_of_the_calls(proof: Proof) -> None:
    found = pl.DataFrame([total(by_model(proof.calls).collect())], infer_schema_length=None)
    left_out = "latency_p50_seconds, latency_p95_seconds, latency_p99_seconds, "
    left_out += "first_token_p50_seconds, first_token_p95_seconds, output_tokens_per_second"
    answer = proof.engine.sql(
        f"SELECT * EXCLUDE ({left_out}) FROM (SELECT {SUMMARY} FROM ({FACTS}))"
    )
    (expected,) = answer.fetchall()
    line = found.row(0, named=True)
    assert line.pop(PER_THOUSAND) == per_thousand(line["spent_usd"], line["calls"])
    assert line == dict(zip(answer.columns, expected, strict=True))
