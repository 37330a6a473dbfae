"""The demo's plan: as many requests as were asked for, with all kinds of course and trouble."""

from __future__ import annotations

import pytest

from tachograph.demo.plan import Ask, plan


def asks(requests: int) -> list[Ask]:
    return [ask for job in plan(requests) for ask in job.asks]


@pytest.mark.parametrize("requests", [1, 2, 7, 200, 1000])
def test_there_are_as_many_requests_as_asked_for(requests: int) -> None:
    assert [ask.number for ask in asks(requests)] == list(range(requests))


def test_two_hundred_have_what_real_traffic_has() -> None:
    planned = asks(200)
    assert len({ask.body["model"] for ask in planned}) >= 6
    assert {bool(ask.body.get("stream")) for ask in planned} == {True, False}
    assert any(ask.leaves_early for ask in planned)
    assert {ask.trouble for ask in planned} >= {
        "upstream_rate_limited",
        "edge_error",
        "insufficient_credits",
        "error_in_answer",
        "stream_error",
        None,
    }
    assert sum(ask.trouble is not None for ask in planned) < 30


def test_operations_are_named_and_some_have_several_requests() -> None:
    jobs = plan(200)
    assert {job.operation["name"] for job in jobs if job.operation} >= {"support", "plan tour"}
    assert any(job.operation is None for job in jobs)
    assert max(len(job.asks) for job in jobs) > 1
