"""Errors, latency, caches, money per success, periods and the audit, against DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

import polars as pl
import pytest

from tachograph.analytics import (
    audit_by,
    cache,
    compare,
    cost_audit,
    cost_per_success,
    differing,
    errors,
    latency,
    read_prices,
    top,
    unexplained_share,
)
from tachograph.core.records import Outcome
from tests.analytics.proof import Proof
from tests.analytics.test_duckdb_groups import FACTS, SUMMARY, per_thousand

OUTCOMES = "['completed', 'failed', 'abandoned', 'refused']"


def quotient(part: Decimal | None, whole: int) -> Decimal | None:
    if part is None or not whole:
        return None
    exact = Context(prec=60, rounding=ROUND_HALF_EVEN)
    return exact.quantize(exact.divide(part, whole), Decimal("1E-12"))


@pytest.mark.parametrize("keys", [[], ["model"], ["provider", "http_status"]])
def test_errors(proof: Proof, keys: list[str]) -> None:
    named = keys or ["outcome", "error_type", "http_status"]
    order = ", ".join(
        f"list_position({OUTCOMES}, outcome)" if key == "outcome" else f"{key} NULLS LAST"
        for key in named
    )
    proof.same(
        errors(proof.calls, *map(pl.col, keys)),
        f"""
        SELECT {", ".join(named)}, count(*) AS calls,
            count(DISTINCT c.model) AS models, count(DISTINCT c.provider) AS providers,
            min(started_at) AS first_at, max(started_at) AS last_at,
            sum(spent_usd) AS spent_usd, count(*) - count(spent_usd) AS calls_without_cost,
            arg_max(error_message, started_at) AS message,
            calls / sum(calls) OVER () AS share
        FROM calls c
        WHERE outcome IN ('failed', 'refused')
            OR (outcome = 'abandoned' AND error_type IS NOT NULL)
        GROUP BY {", ".join(named)} ORDER BY calls DESC, {order}
        """,
    )


@pytest.mark.parametrize("outcomes", [("completed",), ("failed", "abandoned")])
@pytest.mark.parametrize("cache_hits", [False, True])
@pytest.mark.parametrize("key", ["model", "provider"])
def test_latency(proof: Proof, outcomes: tuple[Outcome, ...], cache_hits: bool, key: str) -> None:
    quantiles = [
        f"percentile_disc({percent / 100}) WITHIN GROUP (ORDER BY {measure}_seconds) "
        f"AS {measure}_p{percent}_seconds"
        for measure in ("latency", "first_token")
        for percent in (50, 90, 95, 99)
    ]
    quantiles.insert(4, "max(latency_seconds) AS latency_max_seconds")
    wrote = "sum(latency_seconds - first_token_seconds) FILTER (wrote)"
    hits = "" if cache_hits else "AND coalesce(cache_status, '') <> 'HIT'"
    proof.same(
        latency(proof.calls, pl.col(key), outcomes=outcomes, cache_hits=cache_hits),
        f"""
        SELECT {key}, count(*) AS calls, {", ".join(quantiles)},
            sum(output_tokens) FILTER (wrote) / {wrote} AS output_tokens_per_second,
            percentile_disc(0.5) WITHIN GROUP (
                ORDER BY output_tokens / (latency_seconds - first_token_seconds)
            ) FILTER (wrote) AS output_tokens_per_second_p50,
            {wrote} / sum(output_tokens) FILTER (wrote) AS seconds_per_output_token
        FROM ({FACTS}) WHERE outcome IN {outcomes} {hits}
        GROUP BY {key} ORDER BY calls DESC, {key} NULLS LAST
        """,
    )


@pytest.mark.parametrize("key", ["model", "user_id"])
def test_cost_per_success(proof: Proof, key: str) -> None:
    report = cost_per_success(proof.calls, pl.col(key)).collect()
    proof.same(
        report.drop("spent_usd_per_success"),
        f"""
        SELECT {key}, count(*) AS calls, count(*) FILTER (outcome = 'completed') AS completed,
            sum(spent_usd) AS spent_usd,
            sum(spent_usd) FILTER (outcome <> 'completed') AS wasted_usd,
            count(*) - count(spent_usd) AS calls_without_cost
        FROM calls GROUP BY {key} ORDER BY calls DESC, {key} NULLS LAST
        """,
    )
    for line in report.iter_rows(named=True):
        expected = quotient(line["spent_usd"], line["completed"])
        assert line["spent_usd_per_success"] == expected


@pytest.mark.parametrize("with_prices", [True, False])
def test_cache(proof: Proof, with_prices: bool) -> None:
    saved = """sum(
        CASE WHEN cache_read_input_tokens = 0 THEN 0
            ELSE cache_read_input_tokens::DECIMAL(18, 0) * (prompt - input_cache_read) END
        - CASE WHEN cache_write_input_tokens > 0
            THEN cache_write_input_tokens::DECIMAL(18, 0) * (input_cache_write - prompt)
            ELSE 0 END
    )::DECIMAL(38, 12)"""
    if not with_prices:
        saved = "sum(CASE WHEN cache_read_input_tokens = 0 THEN 0 END)::DECIMAL(38, 12)"
    prices = read_prices(proof.url) if with_prices else None
    report = cache(proof.calls, prices=prices)
    proof.same(
        report,
        f"""
        SELECT c.model, count(*) AS calls,
            sum(c.input_tokens) AS input_tokens,
            sum(c.cache_read_input_tokens) AS cache_read_input_tokens,
            sum(c.cache_write_input_tokens) AS cache_write_input_tokens,
            sum(c.cache_read_input_tokens)
                / nullif(sum(c.input_tokens) FILTER (c.cache_read_input_tokens IS NOT NULL), 0)
                AS cached_input_rate,
            count(*) FILTER (outcome = 'completed' AND cache_status = 'HIT') AS answers_from_cache,
            count(*) FILTER (outcome = 'completed' AND cache_status = 'HIT')
                / nullif(count(*) FILTER (outcome = 'completed'), 0) AS cache_hit_rate,
            {saved} AS saved_usd
        FROM calls c LEFT JOIN prices p ON p.id = c.price_id
        GROUP BY c.model ORDER BY calls DESC, c.model NULLS LAST
        """,
    )


BEFORE = (datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 10, 12, tzinfo=UTC))
AFTER = (datetime(2026, 10, 28, tzinfo=UTC), None)


@pytest.mark.parametrize("key", ["model", "provider"])
def test_compare(proof: Proof, key: str) -> None:
    measures = ["calls", "failure_rate", "latency_p50_seconds", "latency_p95_seconds"]
    measures += ["first_token_p50_seconds", "output_tokens_per_second"]
    measures += ["input_tokens", "output_tokens", "spent_usd"]

    def side(name: str, within: str) -> str:
        return f"{name} AS (SELECT {key}, {SUMMARY} FROM ({FACTS}) WHERE {within} GROUP BY {key})"

    def value(table: str, name: str) -> str:
        if name not in ("calls", "input_tokens", "output_tokens", "spent_usd"):
            return f"{table}.{name}"
        return f"CASE WHEN {table}.calls IS NULL THEN 0 ELSE {table}.{name} END"

    columns = ", ".join(
        f"{value('b', name)} AS {name}_before, {value('a', name)} AS {name}_after, "
        f"{name}_after - {name}_before AS {name}_change"
        for name in measures
    )
    report = compare(proof.calls, BEFORE, AFTER, pl.col(key)).collect()
    proof.same(
        report.select(pl.exclude("^spent_usd_per_1000_calls.*$")),
        f"""
        WITH {side("b", f"started_at >= '{BEFORE[0]}' AND started_at < '{BEFORE[1]}'")},
        {side("a", f"started_at >= '{AFTER[0]}'")}
        SELECT coalesce(b.{key}, a.{key}) AS {key}, {columns}
        FROM b FULL JOIN a ON b.{key} IS NOT DISTINCT FROM a.{key}
        ORDER BY spent_usd_change DESC NULLS LAST, 1 NULLS LAST
        """,
    )
    name = "spent_usd_per_1000_calls"
    for line in report.iter_rows(named=True):
        for side_ in ("before", "after"):
            expected = per_thousand(line[f"spent_usd_{side_}"], line[f"calls_{side_}"])
            assert line[f"{name}_{side_}"] == expected


@pytest.mark.parametrize("by", ["spent_usd", "latency_seconds", "output_tokens"])
def test_top(proof: Proof, by: str) -> None:
    proof.same(
        top(proof.calls, 25, by=by).select("id", by),
        f"SELECT id, {by} FROM calls WHERE {by} IS NOT NULL ORDER BY {by} DESC, id LIMIT 25",
    )


AUDITED = """
    WITH compared AS (
        SELECT *, CASE WHEN is_byok THEN upstream_usd ELSE billed_usd END AS expected_usd,
            expected_usd - computed_usd AS difference_usd,
            (input_tokens - cache_read_input_tokens)::DECIMAL(18, 0) AS fresh,
            cache_read_input_tokens::DECIMAL(18, 0) AS cached,
            coalesce(output_tokens, 0)::DECIMAL(18, 0) AS written
        FROM calls WHERE billed_usd IS NOT NULL OR computed_usd IS NOT NULL
    ),
    audited AS (
        SELECT *, CASE
            WHEN abs(difference_usd) <= 0.000000001 THEN 'agrees'
            WHEN cache_status = 'HIT' THEN 'cache_hit'
            WHEN json_contains(parameters, '{"plugins":["web"]}')
                AND NOT coalesce(expected_usd < computed_usd, false) THEN 'server_tool'
            WHEN is_byok THEN 'byok'
            WHEN expected_usd IS NULL THEN 'unbilled'
            WHEN EXISTS (
                FROM prices p WHERE p.model = c.model AND p.id IS DISTINCT FROM c.price_id
                AND abs(fresh * prompt + cached * coalesce(input_cache_read, prompt)
                    + written * completion - expected_usd) <= 0.000000001
            ) THEN 'price_changed'
            WHEN computed_usd IS NULL THEN 'unpriced'
            ELSE 'unexplained'
        END AS reason
        FROM compared c
    )
"""
"""The rules of REASONS, as far as these calls can meet them."""


def test_cost_audit(proof: Proof) -> None:
    audit = cost_audit(proof.calls, proof.url).collect()
    found = proof.same(
        audit.sort("id").select("id", "expected_usd", "difference_usd", "reason"),
        f"{AUDITED} SELECT id, expected_usd, difference_usd, reason FROM audited ORDER BY id",
    )
    reasons = set(found["reason"].to_list())
    assert reasons >= {"agrees", "server_tool", "price_changed", "unpriced", "unexplained"}


@pytest.mark.parametrize("key", ["reason", "model", "provider"])
def test_the_sums_of_an_audit(proof: Proof, key: str) -> None:
    audit = cost_audit(proof.calls, proof.url)
    report = audit_by(audit, key)
    order = "reason" if key == "reason" else f"{key} NULLS LAST"
    proof.same(
        report.collect(),
        f"""{AUDITED} SELECT {key}, count(*) AS calls,
            count(*) FILTER (reason <> 'agrees') AS differing,
            sum(billed_usd) AS billed_usd, sum(computed_usd) AS computed_usd,
            sum(difference_usd) AS difference_usd,
            sum(abs(difference_usd)) AS absolute_difference_usd
        FROM audited GROUP BY {key}
        ORDER BY absolute_difference_usd DESC NULLS LAST, calls DESC, {order}""",
    )


def test_what_differs_and_the_share_that_nothing_explains(proof: Proof) -> None:
    audit = cost_audit(proof.calls, proof.url).collect()
    proof.same(
        differing(audit).select("id"),
        f"{AUDITED} SELECT id FROM audited WHERE reason <> 'agrees' ORDER BY id",
    )
    ((unexplained, expected),) = proof.engine.sql(
        f"""{AUDITED} SELECT sum(abs(difference_usd)) FILTER (reason = 'unexplained'),
            sum(expected_usd) FROM audited"""
    ).fetchall()
    assert unexplained_share(audit) == unexplained / expected > 0
