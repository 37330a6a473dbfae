"""Operations: what several calls came to together."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import polars as pl

from tachograph.analytics.operation_rows import OPERATIONS, operations, scan_operations
from tachograph.core.ids import uuid7
from tachograph.core.units import microseconds
from tests.analytics.conftest import Store
from tests.analytics.rows import NOON, calls_frame, row


def an_id(second: float) -> str:
    return str(UUID(bytes=uuid7(microseconds(NOON + timedelta(seconds=second)))))


FIRST, ALONE, PARALLEL, DIED = an_id(0), an_id(50), an_id(60), an_id(70)
CALLS = calls_frame(
    # 429 after 0.5 s, 1 s of waiting, 502 after 2 s, 1.5 s of waiting, an answer after 3 s
    {"id": FIRST, "operation_id": FIRST, "started_at": NOON, "latency_seconds": 0.5,
     "outcome": "failed", "error_type": "rate_limited", "resend_count": 0, "model": "a",
     "provider": None, "name": "summarise", "session_id": "s", "tags": "{}", "trace_id": "t"},
    {"id": an_id(1.5), "operation_id": FIRST, "started_at": NOON + timedelta(seconds=1.5),
     "latency_seconds": 2.0, "outcome": "failed", "error_type": "provider_unavailable",
     "resend_count": 1, "model": "a", "provider": "P"},
    {"id": an_id(5), "operation_id": FIRST, "started_at": NOON + timedelta(seconds=5),
     "latency_seconds": 3.0, "resend_count": 0, "model": "b", "provider": "Q",
     "input_tokens": 10, "output_tokens": 20, "billed_usd": Decimal("0.1"),
     "spent_usd": Decimal("0.3")},
    {"id": ALONE, "operation_id": ALONE, "started_at": NOON + timedelta(seconds=50),
     "latency_seconds": 1.0, "resend_count": 0, "model": "a", "provider": "P",
     "spent_usd": Decimal(0)},
    # two at once: from 60 to 64, and from 61 to 62
    {"id": PARALLEL, "operation_id": PARALLEL, "started_at": NOON + timedelta(seconds=60),
     "latency_seconds": 4.0, "resend_count": 0, "model": "a"},
    {"id": an_id(61), "operation_id": PARALLEL, "started_at": NOON + timedelta(seconds=61),
     "latency_seconds": 1.0, "resend_count": 0, "model": "a", "outcome": "abandoned"},
    {"id": DIED, "operation_id": DIED, "started_at": NOON + timedelta(seconds=70),
     "outcome": "abandoned", "error_type": "interrupted", "resend_count": 0},
)  # fmt: skip


def test_by_hand() -> None:
    retried, alone, parallel, died = operations(CALLS).rows(named=True)
    assert retried == {
        "operation_id": FIRST,
        "name": "summarise",
        "session_id": "s",
        "user_id": None,
        "tags": "{}",
        "service_name": None,
        "environment": None,
        "trace_id": "t",
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=8),
        "attempts": 3,
        "resends": 1,
        "outcome": "completed",
        "error_type": None,
        "latency_seconds": 5.5,
        "waiting_seconds": 2.5,
        "models": ["a", "b"],
        "providers": ["P", "Q"],
        "input_tokens": 10,
        "output_tokens": 20,
        "billed_usd": Decimal("0.1"),
        "computed_usd": None,
        "spent_usd": Decimal("0.3"),
        "calls_without_cost": 2,
    }
    assert (alone["attempts"], alone["waiting_seconds"], alone["spent_usd"]) == (1, 0.0, 0)
    assert (parallel["latency_seconds"], parallel["waiting_seconds"]) == (4.0, 0.0)
    assert (parallel["ended_at"], parallel["outcome"]) == (
        NOON + timedelta(seconds=64),
        "abandoned",
    )
    for name in ("ended_at", "latency_seconds", "waiting_seconds", "spent_usd"):
        assert died[name] is None
    assert (died["models"], died["error_type"]) == ([], "interrupted")


def test_the_order_of_the_calls_does_not_matter() -> None:
    shuffled = CALLS.sample(fraction=1, shuffle=True, seed=random.randrange(1000))
    assert operations(shuffled).equals(operations(CALLS))
    lazy = operations(shuffled.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect(engine="streaming").equals(operations(CALLS))
    assert lazy.collect_schema() == OPERATIONS == operations(CALLS.clear()).schema


def test_an_operation_belongs_to_the_period_in_which_it_began(store: Store) -> None:
    first, second = row(0), row(10)
    again = row(12) | {"operation_id": second["id"], "attempt": 2, "resend_count": 1}
    later = row(20)
    url = store([first, second, again, later])
    period = (NOON + timedelta(seconds=5), NOON + timedelta(seconds=11))
    (only,) = scan_operations(url, *period).collect().rows(named=True)
    assert (only["operation_id"], only["attempts"]) == (str(UUID(bytes=second["id"])), 2)
    after = scan_operations(url, NOON + timedelta(seconds=11)).collect()
    assert after["attempts"].to_list() == [1]
    assert len(scan_operations(url).collect()) == 3
    assert scan_operations(url, "1h").collect().schema == OPERATIONS
