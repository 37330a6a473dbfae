"""Calls without a bill: which are asked for, and what an answer fills in."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tachograph.core.records import Price, Usage
from tachograph.core.units import microseconds
from tachograph.errors import StoreError
from tachograph.openrouter.generation import Generation
from tachograph.store.columns import record_column
from tachograph.store.database import open_engine
from tachograph.store.price_history import record_prices
from tachograph.store.prices import PriceBook
from tachograph.store.reconciliations import (
    fill_in,
    find_unreconciled,
    mark_absent,
    read_totals,
)
from tests.stored import NOON, store

LEFT_EARLY: dict[str, Any] = {
    "outcome": "abandoned",
    "http_status": 200,
    "request_model": "a/b",
    "model": "a/b",
    "generation_id": "gen-1",
}


def generation(**usage: Any) -> Generation:
    return Generation(
        id="gen-1",
        usage=replace(Usage(input_tokens=64, output_tokens=98, billed_usd=Decimal("0.5")), **usage),
        provider="DeepInfra",
        finish_reason="stop",
        native_finish_reason="eos",
        service_tier=None,
    )


def found(engine: sa.Engine, **options: Any) -> list[str]:
    return [call.generation_id for call in find_unreconciled(engine, **options)]


def columns(engine: sa.Engine, call_id: bytes, *names: str) -> tuple[Any, ...]:
    query = sa.select(*map(record_column, names)).where(record_column("id") == call_id)
    with engine.connect() as connection:
        return tuple(connection.execute(query).one())


def test_calls_without_a_bill_are_found_the_oldest_first(engine: sa.Engine) -> None:
    store(
        engine,
        LEFT_EARLY,
        LEFT_EARLY | {"generation_id": "gen-2", "outcome": "completed"},
        LEFT_EARLY | {"generation_id": "gen-3", "http_status": None},
        LEFT_EARLY | {"generation_id": "billed", "billed_usd": 1},
        LEFT_EARLY | {"generation_id": "billed nothing", "billed_usd": 0},
        LEFT_EARLY | {"generation_id": "never generated", "http_status": 429},
        LEFT_EARLY | {"generation_id": None},
    )
    assert found(engine) == ["gen-1", "gen-2", "gen-3"]
    assert found(engine, since_us=microseconds(NOON + timedelta(seconds=1))) == ["gen-2", "gen-3"]


def test_a_job_that_was_polled_is_counted_once(engine: sa.Engine) -> None:
    store(
        engine,
        *[LEFT_EARLY | {"generation_id": "gen-polled"}] * 3,
        LEFT_EARLY | {"generation_id": "gen-done"},
        LEFT_EARLY | {"generation_id": "gen-done", "billed_usd": 1},
    )
    (first,) = find_unreconciled(engine)
    assert (first.generation_id, first.started_us) == ("gen-polled", microseconds(NOON))
    fill_in(engine, PriceBook(engine), first.call_id, generation(), 7)
    assert found(engine) == []


def test_what_was_unknown_is_filled(engine: sa.Engine) -> None:
    price = Price(
        model="a/b",
        valid_from_us=0,
        prompt=Decimal("0.000001"),
        completion=Decimal("0.000002"),
    )
    record_prices(engine, [price], 1, "test")
    kept = {"provider": "Fireworks", "native_finish_reason": "max"}
    (id_,) = store(engine, LEFT_EARLY | kept)
    fill_in(engine, PriceBook(engine), id_, generation(), microseconds(NOON))
    names = ("input_tokens", "output_tokens", "billed_usd", "spent_usd", "cost_source")
    assert columns(engine, id_, *names) == (64, 98, Decimal("0.5"), Decimal("0.5"), "reconciled")
    names = ("provider", "finish_reason", "native_finish_reason", "computed_usd", "price_id")
    assert columns(engine, id_, *names) == ("Fireworks", "stop", "max", Decimal("0.00026"), 1)
    assert columns(engine, id_, "outcome", "model") == ("abandoned", "a/b")
    with engine.connect() as connection:
        assert read_totals(connection) == {str(UUID(bytes=id_)): Decimal("0.5")}


def test_with_the_users_own_key_the_providers_bill_comes_on_top(engine: sa.Engine) -> None:
    (id_,) = store(engine, LEFT_EARLY)
    answer = generation(is_byok=True, billed_usd=Decimal("0.01"), upstream_usd=Decimal("0.2"))
    fill_in(engine, PriceBook(engine), id_, answer, 1)
    assert columns(engine, id_, "spent_usd", "cost_source") == (Decimal("0.21"), "reconciled")


def test_with_the_users_own_key_and_no_word_of_its_bill_nothing_is_invented(
    engine: sa.Engine,
) -> None:
    (id_,) = store(engine, LEFT_EARLY)
    fill_in(engine, PriceBook(engine), id_, generation(is_byok=True, billed_usd=Decimal(0)), 1)
    assert columns(engine, id_, "billed_usd", "spent_usd", "cost_source") == (0, None, "unknown")
    assert found(engine) == []


def test_a_bill_that_is_there_is_never_changed(engine: sa.Engine) -> None:
    (id_,) = store(
        engine, LEFT_EARLY | {"billed_usd": "0.4", "spent_usd": "0.4", "cost_source": "billed"}
    )
    fill_in(engine, PriceBook(engine), id_, generation(), 1)
    names = ("billed_usd", "spent_usd", "cost_source", "input_tokens")
    assert columns(engine, id_, *names) == (Decimal("0.4"), Decimal("0.4"), "billed", None)
    with engine.connect() as connection:
        assert read_totals(connection) == {str(UUID(bytes=id_)): Decimal("0.5")}


def test_what_is_not_there_is_not_asked_for_for_ever(engine: sa.Engine) -> None:
    (id_,) = store(engine, LEFT_EARLY)
    mark_absent(engine, id_, 1)
    assert found(engine) == []
    assert found(engine, again=True) == ["gen-1"]
    mark_absent(engine, id_, 2)
    fill_in(engine, PriceBook(engine), id_, generation(), 3)
    assert found(engine, again=True) == []


def test_a_call_that_was_purged_meanwhile_is_no_matter(engine: sa.Engine) -> None:
    fill_in(engine, PriceBook(engine), bytes(16), generation(), 1)
    with engine.connect() as connection:
        assert read_totals(connection) == {}


def test_a_failure_names_the_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    for fail in (
        lambda: find_unreconciled(engine),
        lambda: mark_absent(engine, bytes(16), 1),
        lambda: fill_in(engine, PriceBook(engine), bytes(16), generation(), 1),
    ):
        with pytest.raises(StoreError, match=r"empty\.db: no such table"):
            fail()
    engine.dispose()
