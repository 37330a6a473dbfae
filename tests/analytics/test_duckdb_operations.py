"""Operations, and what re-sending did, against queries written from their definitions."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from tachograph.analytics import operations, retries, scan_operations
from tests.analytics.proof import Proof
from tests.analytics.rows import NOON

DAY = timedelta(days=1)

OPERATIONS = """
    WITH timed AS (
        SELECT *,
            epoch_us(started_at) AS began,
            began + round(latency_seconds * 1e6)::BIGINT AS ended
        FROM calls
    ),
    gapped AS (
        SELECT *, greatest(0, began - max(ended) OVER (
            PARTITION BY operation_id ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) AS gap
        FROM timed
    ),
    tried AS (
        SELECT operation_id, list(word ORDER BY place) FILTER (kind = 'model') AS models,
            list(word ORDER BY place) FILTER (kind = 'provider') AS providers
        FROM (
            SELECT operation_id, 'model' AS kind, model AS word, min(id) AS place FROM calls
            WHERE model IS NOT NULL GROUP BY ALL
            UNION ALL
            SELECT operation_id, 'provider', provider, min(id) FROM calls
            WHERE provider IS NOT NULL GROUP BY ALL
        )
        GROUP BY operation_id
    ),
    summed AS (
        SELECT
            operation_id,
            first(name ORDER BY id) AS name,
            first(session_id ORDER BY id) AS session_id,
            first(user_id ORDER BY id) AS user_id,
            first(tags ORDER BY id) AS tags,
            first(service_name ORDER BY id) AS service_name,
            first(environment ORDER BY id) AS environment,
            first(trace_id ORDER BY id) AS trace_id,
            min(began) AS first_began,
            max(ended) AS last_ended,
            count(*) AS attempts,
            count(*) FILTER (resend_count > 0) AS resends,
            last(outcome ORDER BY id) AS outcome,
            last(error_type ORDER BY id) AS error_type,
            count(*) = count(ended) AS known,
            coalesce(sum(gap), 0) AS idle,
            sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens,
            sum(billed_usd) AS billed_usd,
            sum(computed_usd) AS computed_usd,
            sum(spent_usd) AS spent_usd,
            count(*) - count(spent_usd) AS calls_without_cost
        FROM gapped GROUP BY operation_id
    ),
    operations AS (
        SELECT
            operation_id, name, session_id, user_id, tags, service_name, environment, trace_id,
            make_timestamptz(first_began) AS started_at,
            CASE WHEN known THEN make_timestamptz(last_ended) END AS ended_at,
            attempts, resends, outcome, error_type,
            CASE WHEN known THEN (last_ended - first_began - idle) / 1e6 END AS latency_seconds,
            CASE WHEN known THEN idle / 1e6 END AS waiting_seconds,
            coalesce(models, []) AS models,
            coalesce(providers, []) AS providers,
            input_tokens, output_tokens, billed_usd, computed_usd, spent_usd, calls_without_cost
        FROM summed LEFT JOIN tried USING (operation_id)
    )
"""


def test_operations(proof: Proof) -> None:
    proof.same(
        operations(proof.calls),
        f"{OPERATIONS} SELECT * FROM operations ORDER BY operation_id",
    )


def test_operations_of_a_period_have_all_of_their_calls(proof: Proof) -> None:
    """Also those calls that began after it: of an operation that began before midnight."""
    since, until = NOON + DAY - timedelta(seconds=1), NOON + DAY + timedelta(seconds=10)
    found = proof.same(
        scan_operations(proof.url, since, until, archive=proof.archive),
        f"""{OPERATIONS} SELECT * FROM operations
            WHERE started_at >= '{since}' AND started_at < '{until}' ORDER BY operation_id""",
    )
    assert found["attempts"].to_list() == [3]
    assert found["models"].to_list() == [["rare/slow", "rare/quick"]]


def test_retries(proof: Proof) -> None:
    columns = """
        count(*) AS operations,
        count(*) FILTER (o.resends > 0) AS retried,
        count(*) FILTER (o.resends > 0 AND outcome = 'completed') AS recovered,
        retried - recovered AS given_up,
        recovered / nullif(retried, 0) AS recovery_rate,
        sum(o.resends) AS resends,
        CASE WHEN retried = 0 THEN 0.0 ELSE sum(waiting_seconds) FILTER (o.resends > 0) END
            AS waiting_seconds
    """
    found = proof.same(
        retries(proof.calls),
        f"""{OPERATIONS} SELECT models[1] AS model, {columns}
            FROM operations o GROUP BY model ORDER BY operations DESC, model NULLS LAST""",
    )
    assert found["retried"].sum() > 10
    by_team = retries(proof.calls, pl.col("service_name"))
    proof.same(
        by_team,
        f"""{OPERATIONS} SELECT service_name, {columns}
            FROM operations o GROUP BY service_name
            ORDER BY operations DESC, service_name NULLS LAST""",
    )
