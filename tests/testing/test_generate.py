"""Made-up calls: realistic enough, and bound by the rules of real ones."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import polars as pl
import pytest

from tachograph.analytics import CALLS, by_model, read_calls
from tachograph.core.ids import uuid7_floor
from tachograph.core.records import Usage
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.prices import PriceBook
from tachograph.store.schema import calls, recorders
from tachograph.testing import generate_calls

N = 20_000
c = pl.col


@pytest.fixture(scope="module")
def made() -> pl.DataFrame:
    return generate_calls(N)


def test_the_schema_and_the_number_are_as_promised(made: pl.DataFrame) -> None:
    assert made.schema == CALLS
    assert len(made) == N
    assert generate_calls(0).schema == CALLS
    assert len(generate_calls(1)) == 1


def test_the_same_seed_gives_the_same_calls(made: pl.DataFrame) -> None:
    assert generate_calls(N).equals(made)
    assert not generate_calls(N, seed=1).equals(made)


def test_ids_are_minted_from_the_time_and_in_its_order(made: pl.DataFrame) -> None:
    assert made["id"].is_unique().all()
    assert made["started_at"].is_sorted()
    for call_id, started in made.select("id", "started_at").head(200).rows():
        floor = UUID(bytes=uuid7_floor(microseconds(started)))
        assert str(floor)[:18] == call_id[:18]
        assert UUID(call_id).variant == "specified in RFC 4122"
        assert UUID(call_id).version == 7
    october = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert made["started_at"].is_between(*october).all()


def test_a_resending_follows_a_failure_of_its_operation(made: pl.DataFrame) -> None:
    again = made.filter(c.resend_count > 0)
    assert 0 < len(again) < N / 20
    before = again.with_columns(c.resend_count - 1).join(
        made, on=["operation_id", "resend_count"], how="left", suffix="_before"
    )
    assert (before["outcome_before"] == "failed").all()
    assert (before["id_before"] == before["resend_of"]).all()
    assert made.filter(resend_count=0)["resend_of"].is_null().all()
    assert (before["model_before"] == before["model"]).all()
    ended = before["started_at_before"] + pl.Series(before["latency_seconds_before"] * 1e6).cast(
        pl.Duration("us")
    )
    assert (before["started_at"] > ended).all()
    assert (made.filter(resend_count=0)["id"] == made.filter(resend_count=0)["operation_id"]).all()


def test_money_follows_the_rules(made: pl.DataFrame) -> None:
    own_key = c.is_byok.fill_null(value=False)
    paid = made.filter(c.spent_usd.is_not_null())
    assert (paid.filter(~own_key)["spent_usd"] == paid.filter(~own_key)["billed_usd"]).all()
    byok = paid.filter(own_key)
    assert len(byok) > 0
    assert (byok["spent_usd"] == byok["billed_usd"] + byok["upstream_usd"]).all()
    assert made.filter(c.spent_usd.is_null())["cost_source"].eq("unknown").all()
    failed = made.filter(c.outcome == "failed", c.spent_usd.is_not_null())
    assert failed.select("error_type", "cost_source").unique().rows() == [
        ("stream_cut", "reconciled")
    ]
    unlisted = made.filter(c.cache_status.is_null(), model="stealth/preview")
    assert unlisted["computed_usd"].is_null().all()
    free = made.filter(c.parameters.is_null(), model="qwen/qwen3.8-27b:free")
    assert free["spent_usd"].drop_nulls().eq(0).all()


def test_there_is_an_outage_and_a_night(made: pl.DataFrame) -> None:
    out = c.started_at.is_between(
        datetime(2026, 10, 14, 9, tzinfo=UTC), datetime(2026, 10, 14, 14, tzinfo=UTC)
    )
    fireworks = made.filter(provider="Fireworks")
    failed = fireworks.group_by(out.alias("out")).agg((c.outcome == "failed").mean()).sort("out")
    usual, during = failed["outcome"]
    assert usual < 0.1
    assert during > 0.5
    hours = made.group_by(c.started_at.dt.hour()).len().sort("started_at")["len"]
    assert hours[13] > 4 * hours[3]


def test_a_database_gets_the_same_calls_and_their_prices(
    tmp_path: Path, made: pl.DataFrame
) -> None:
    url = f"sqlite:///{tmp_path}/made.db"
    generate_calls(2000, to=url)
    frame = read_calls(url)
    assert frame.equals(generate_calls(2000))
    engine = open_engine(url, read_only=True)
    book = PriceBook(engine)
    with engine.connect() as connection:
        for row in connection.execute(calls.select().limit(500)):
            usage = Usage(
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                cache_read_input_tokens=row.cache_read_input_tokens,
                billed_usd=row.billed_picousd,
            )
            call = SimpleNamespace(**row._asdict() | {"started_us": microseconds(row.started_us)})
            cost = book.cost(call, None if row.input_tokens is None else usage)
            assert cost.computed_usd == row.computed_picousd
            assert cost.price_id == row.price_id
        ledger = connection.execute(recorders.select()).one()
    assert (ledger.made, ledger.stored, ledger.closed) == (2000, 2000, True)
    engine.dispose()


def test_the_same_calls_again_change_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/made.db"
    generate_calls(300, to=url)
    generate_calls(300, to=url)
    assert read_calls(url).equals(generate_calls(300))
    generate_calls(0, to=url)
    generate_calls(200, seed=1, to=url)
    assert len(read_calls(url)) == 500


def test_a_server_gets_them_too(postgres_url: str) -> None:
    generate_calls(300, to=postgres_url)
    assert read_calls(postgres_url).equals(generate_calls(300))


def test_the_sums_of_a_report_are_round_enough_to_check(made: pl.DataFrame) -> None:
    report = by_model(made)
    assert report["calls"].sum() == N
    assert report["spent_usd"].sum() == made["spent_usd"].sum() > Decimal(10)
