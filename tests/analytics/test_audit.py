"""Computed against billed: what differs, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from tachograph.analytics import audit as audit_module
from tachograph.analytics.audit import (
    AUDIT,
    TOLERANCE,
    UNPRICED,
    audit_by,
    audit_totals,
    cost_audit,
    differing,
    differing_and_totals,
    unexplained_share,
)
from tachograph.analytics.frames import read_calls, scan_calls
from tachograph.analytics.reasons import AuditedCall, find_reason
from tachograph.analytics.scanning import explain_sql
from tachograph.core.pricing import compute
from tachograph.core.records import Price, PriceOverride, Usage
from tachograph.core.units import microseconds
from tachograph.openrouter.usage import read_usage
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.migrate import ensure
from tachograph.store.price_history import record_prices
from tachograph.store.schema import reconciliations
from tests.required import missing
from tests.stored import NOON, store

BEFORE = microseconds(NOON) - 1_000_000
LATER = microseconds(NOON) + 3_600_000_000


def usd(text: str) -> Decimal:
    return Decimal(text)


def price(prompt: str, **others: Any) -> Price:
    return Price(
        model="a/b",
        valid_from_us=0,
        prompt=usd(prompt) / 1_000_000,
        completion=usd("10") / 1_000_000,
        **others,
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")
    ensure(engine)
    long = PriceOverride(min_prompt_tokens=10_000, prompt=usd("0.000003"))
    record_prices(
        engine,
        [
            price("2", overrides=(long,)),
            price("1", provider="X", endpoint_tag="x"),
            price("4", provider="X", endpoint_tag="x/fast", service_tier="priority"),
        ],
        BEFORE,
        "test",
    )
    record_prices(engine, [price("5")], LATER, "test")
    yield engine
    engine.dispose()


# a thousand tokens in at 2 USD a million and ten out at 10 USD a million, by row 1 of the prices
CALL: dict[str, Any] = {
    "model": "a/b",
    "request_model": "a/b",
    "input_tokens": 1000,
    "output_tokens": 10,
    "finish_reason": "stop",
    "computed_usd": "0.0021",
    "price_id": 1,
    "cost_source": "billed",
}

CASES: dict[str, dict[str, Any]] = {
    "agrees": {"billed_usd": "0.0021"},
    "agrees but for the residue of binary fractions": {"billed_usd": "0.002100000999"},
    "cache_hit": {"billed_usd": "0", "cache_status": "HIT"},
    "server_tool": {
        "billed_usd": "0.0091",
        "usage_extra": '{"server_tool_use_details":{"tool_calls_executed":1}}',
    },
    "server_tool by its price": {
        "billed_usd": "0.0091",
        "usage_extra": '{"cost_details":{"server_tool_cost":0.007}}',
    },
    "server_tool since the provider asked for less": {
        "billed_usd": "0.0091",
        "upstream_usd": "0.0021",
    },
    "server_tool which the request had asked for": {
        "billed_usd": "0.0041",
        "parameters": '{"plugins":["file-parser"]}',
    },
    "server_tool without a price for searches": {
        "billed_usd": "0.0091",
        "web_searches": 1,
        "computed_usd": None,
        "price_id": None,
    },
    "server_tool that recognised three pages": {"billed_usd": "0.0081"},
    "byok": {"billed_usd": "0", "is_byok": True},
    "byok at the provider's own price": {
        "billed_usd": "0",
        "is_byok": True,
        "upstream_usd": "0.0019",
    },
    "free": {"billed_usd": "0", "request_model": "a/b:free"},
    "insured": {"billed_usd": "0", "finish_reason": None, "output_tokens": 0},
    "insured against an error": {"billed_usd": "0", "finish_reason": "error"},
    "unbilled": {"billed_usd": None, "cost_source": "computed"},
    "tier": {"billed_usd": "0.0041", "provider": "X", "service_tier": "priority"},
    "override": {"billed_usd": "0.0031"},
    "discount": {"billed_usd": "0.002079"},
    "endpoint_spread": {"billed_usd": "0.0011", "provider": "X"},
    "price_changed": {"billed_usd": "0.0051"},
    "unpriced": {"billed_usd": "0.0001", "computed_usd": None, "price_id": None},
    "unpriced for want of counts": {
        "billed_usd": "0.0001",
        "computed_usd": None,
        "price_id": None,
        "input_tokens": None,
        "output_tokens": None,
    },
    "unpriced since nobody knows the model": {
        "billed_usd": "0.0001",
        "computed_usd": None,
        "model": None,
        "price_id": None,
    },
    "unexplained": {"billed_usd": "0.0077"},
    "unexplained though a plugin ran, since those cost more": {
        "billed_usd": "0.0002",
        "parameters": '{"plugins":["web"]}',
    },
}


def row(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (CALL | case).items() if value is not None}


@pytest.mark.parametrize("case", CASES)
def test_reasons(engine: sa.Engine, case: str) -> None:
    store(engine, row(CASES[case]))
    audit = cost_audit(read_calls(engine), engine)
    assert audit.schema == AUDIT
    assert audit["reason"].to_list() == [case.split()[0]]


def test_the_difference_is_what_the_bill_says_more_than_computed(engine: sa.Engine) -> None:
    store(
        engine,
        row({"billed_usd": "0.0077"}),
        row({"billed_usd": "0.0001", "upstream_usd": "0.0031", "is_byok": True}),
        row({"billed_usd": None}),
        row({"billed_usd": "3", "computed_usd": None}),
    )
    audit = cost_audit(read_calls(engine), engine).sort("id")
    assert audit["expected_usd"].to_list() == [usd("0.0077"), usd("0.0031"), None, usd("3")]
    assert audit["difference_usd"].to_list() == [usd("0.0056"), usd("0.0010"), None, None]


def test_calls_without_any_cost_are_not_audited(engine: sa.Engine) -> None:
    store(engine, {"outcome": "failed", "http_status": 429})
    assert cost_audit(read_calls(engine), engine).is_empty()


def test_lazy_is_lazy_and_filters_on_the_result_work(engine: sa.Engine) -> None:
    store(engine, *(row(case) for case in CASES.values()))
    eager = cost_audit(read_calls(engine), engine)
    lazy = cost_audit(scan_calls(engine), engine)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect_schema() == AUDIT
    assert_frame_equal(lazy.collect(), eager, check_row_order=False)
    dear = (pl.col("reason") == "unexplained") & (pl.col("billed_usd") > usd("0.001"))
    assert_frame_equal(
        lazy.filter(dear).select("id", "reason").collect(),
        eager.filter(dear).select("id", "reason"),
    )
    assert lazy.head(2).collect().height == 2


def test_an_audit_of_nothing_has_all_columns(engine: sa.Engine) -> None:
    audit = cost_audit(read_calls(engine), engine)
    assert audit.schema == AUDIT
    assert unexplained_share(audit) == 0
    assert audit_by(audit, "reason").is_empty()


def test_sums(engine: sa.Engine) -> None:
    store(
        engine,
        row({"billed_usd": "0.0021"}),
        row({"billed_usd": "0.0031", "provider": "Y"}),
        row({"billed_usd": "0.0080", "provider": "Y"}),
        row({"billed_usd": "0.0001", "computed_usd": "0.0060", "provider": "Z"}),
        row({"billed_usd": None, "provider": "Z"}),
    )
    audit = cost_audit(read_calls(engine), engine)
    by_provider = audit_by(audit, "provider")
    assert by_provider.columns == [
        "provider",
        "calls",
        "differing",
        "billed_usd",
        "computed_usd",
        "difference_usd",
        "absolute_difference_usd",
    ]
    assert by_provider.rows() == [
        ("Y", 2, 2, usd("0.0111"), usd("0.0042"), usd("0.0069"), usd("0.0069")),
        ("Z", 2, 2, usd("0.0001"), usd("0.0081"), usd("-0.0059"), usd("0.0059")),
        (None, 1, 0, usd("0.0021"), usd("0.0021"), usd("0"), usd("0")),
    ]
    by_reason = audit_by(audit.lazy(), "reason").collect()
    assert set(by_reason["reason"]) == {"agrees", "override", "unexplained", "unbilled"}
    assert differing(audit)["provider"].to_list() == ["Y", "Y", "Z", "Z"]
    assert unexplained_share(audit) == usd("0.0118") / usd("0.0133")


def test_an_audit_in_parts_has_the_sums_of_the_whole(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(engine, *(row(case) for case in CASES.values()))
    whole = cost_audit(read_calls(engine), engine)
    monkeypatch.setattr(audit_module, "BATCH_ROWS", 5)
    lazy = cost_audit(scan_calls(engine), engine)
    assert_frame_equal(lazy.collect(), whole, check_row_order=False)
    calls, parts = differing_and_totals(lazy)
    assert_frame_equal(calls, differing(whole))
    for totals in (parts, audit_totals(lazy).collect()):
        for key in ("reason", "model", "provider"):
            assert_frame_equal(audit_by(totals, key), audit_by(whole, key))
        assert unexplained_share(totals) == unexplained_share(whole)


def test_only_what_is_asked_of_an_audit_is_read(engine: sa.Engine) -> None:
    url = f"sqlite:///{engine.url.database}"
    (sql,) = explain_sql(audit_by(cost_audit(scan_calls(url), url), "reason"))
    columns = sql.partition("FROM")[0]
    assert "parameters" in columns
    assert not [name for name in ("id,", "generation_id", *UNPRICED) if f"calls.{name}" in columns]
    (sql,) = explain_sql(cost_audit(scan_calls(url), url).select("difference_usd"))
    assert "parameters" not in sql
    (sql,) = explain_sql(cost_audit(scan_calls(url), url).filter(provider="P", reason="byok"))
    assert "calls.provider =" not in sql
    (sql,) = explain_sql(cost_audit(scan_calls(url), url).filter(provider="P"))
    assert "calls.provider =" in sql


@pytest.mark.parametrize("name", sorted(UNPRICED))
def test_what_an_audit_does_not_look_at_has_no_price(name: str) -> None:
    rates = [name for name, kind in Price.__annotations__.items() if kind == "Decimal | None"]
    all_different = dict(zip(rates, map(Decimal, count(1)), strict=False)) | {"discount": None}
    every = replace(Price(model="a/b", valid_from_us=0), **all_different)
    usage = Usage(input_tokens=100, output_tokens=100)
    assert compute(replace(usage, **{name: 7}), every, 0) == compute(usage, every, 0)


def test_a_difference_where_nothing_was_to_pay_is_a_share_without_end(engine: sa.Engine) -> None:
    store(engine, row({"billed_usd": "0"}))
    assert unexplained_share(cost_audit(read_calls(engine), engine)) == Decimal("Infinity")


@pytest.mark.parametrize(
    ("computed", "generation", "reason"),
    [
        ("0.0021", "0.0021", "agrees"),
        ("0.0021", "0.0021000005", "agrees"),
        ("0.0021", "0.0031", "restated"),
        ("0.0031", "0.0031", "restated"),
        ("0.0077", "0.0021", "override"),
        (None, "0.0031", "restated"),
    ],
)
def test_what_generation_says_is_compared_as_well(
    engine: sa.Engine, computed: str | None, generation: str, reason: str
) -> None:
    (call_id,) = store(engine, row({"billed_usd": "0.0021", "computed_usd": computed}))
    with write_transaction(engine) as connection:
        found = {"call_id": call_id, "asked_us": NOON, "found": True}
        connection.execute(
            sa.insert(reconciliations).values(**found, total_picousd=usd(generation))
        )
    audit = cost_audit(read_calls(engine), engine, tolerance=Decimal("1E-6"))
    assert audit["reason"].to_list() == [reason]
    assert audit["generation_usd"].to_list() == [usd(generation)]
    assert len(differing(audit)) == (reason != "agrees")


def recorded() -> list[Any]:
    index = Path(__file__).parents[2] / ".." / "shared" / "openrouter" / "INDEX.jsonl"
    if not index.exists():
        return []
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    return [line for line in lines if Path(line["file"]).name in BESIDE_TOKENS]


BESIDE_TOKENS = {
    "test_openrouter_advisor_tool.yaml": ("0.15", "0.6"),
    "test_openrouter_advisor_tool_stream.yaml": ("0.15", "0.6"),
    "test_openrouter_file_annotation.yaml": ("0.25", "2"),
    "test_openrouter_web_search_annotations.yaml": ("0.2574", "1.0287"),
    "test_openrouter_web_search_annotations_stream.yaml": ("0.2574", "1.0287"),
}
"""Recordings whose bill holds what no token tells, and the prices of their models."""


def test_recorded_calls_whose_tokens_do_not_tell_it_all_have_a_reason() -> None:
    lines = recorded()
    if not lines:
        missing("the recorded exchanges are not here")
    assert len(lines) == len(BESIDE_TOKENS)
    for line in lines:
        sent = SimpleNamespace(usage=json.dumps(line["usage"]).encode(), path=line["path"])
        usage = read_usage(sent)  # type: ignore[arg-type]
        assert usage is not None
        prompt, completion = (usd(r) / 1_000_000 for r in BESIDE_TOKENS[Path(line["file"]).name])
        listed = Price(model="m", valid_from_us=0, prompt=prompt, completion=completion)
        call = AuditedCall(
            usage=usage,
            started_us=0,
            expected_usd=usage.billed_usd,
            computed_usd=compute(usage, listed, 0),
            price_id=None,
            request_model=line["requested_model"],
            response_model=line["model"],
            provider=line["provider"],
            finish_reason=line["finish_reason"],
            cache_status=None,
            parameters=None,
        )
        assert find_reason(call, [listed], TOLERANCE) == "server_tool"
