"""Which price a call is priced by, on a real SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import sqlalchemy as sa
import yaml

from tachograph.core.records import Price, PriceOverride, Usage
from tachograph.openrouter.catalog import read_models
from tachograph.openrouter.usage import read_usage
from tachograph.store.database import open_engine
from tachograph.store.migrate import ensure
from tachograph.store.price_history import record_prices
from tachograph.store.prices import PriceBook, read_prices
from tests.required import missing

ONE_EACH = Usage(input_tokens=1, output_tokens=1)


@dataclass
class Asked:
    """As much of a call as its price depends on."""

    request_model: str | None = "a/b"
    response_model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    started_us: int = 1000
    path: str = "/chat/completions"
    parameters: str | None = None
    cache_status: str | None = None


def listed(model: str = "a/b", prompt: int = 1, slug: str | None = None) -> Price:
    return Price(
        model=model,
        canonical_slug=slug,
        valid_from_us=0,
        prompt=Decimal(prompt),
        completion=Decimal(0),
    )


def endpoint(provider: str, tag: str, prompt: int, tier: str | None = None) -> Price:
    return Price(
        model="a/b",
        provider=provider,
        endpoint_tag=tag,
        service_tier=tier,
        valid_from_us=0,
        prompt=Decimal(prompt),
        completion=Decimal(0),
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/calls.db")
    ensure(engine)
    yield engine
    engine.dispose()


def prompt_rate(book: PriceBook, call: Asked) -> Decimal | None:
    return book.cost(call, ONE_EACH).computed_usd


def test_without_prices_only_the_bill_is_known(engine: sa.Engine) -> None:
    book = PriceBook(engine)
    cost = book.cost(Asked(), Usage(input_tokens=1, output_tokens=1, billed_usd=Decimal(2)))
    assert (cost.model, cost.spent_usd, cost.cost_source) == ("a/b", Decimal(2), "billed")
    assert cost.computed_usd is None
    assert book.cost(Asked(), ONE_EACH).cost_source == "unknown"
    assert book.cost(Asked(), None).spent_usd is None


def test_the_price_valid_when_the_call_started(engine: sa.Engine) -> None:
    for instant, rate in ((100, 1), (200, 2), (300, 3)):
        record_prices(engine, [listed(prompt=rate)], instant, "test")
    book = PriceBook(engine)
    found = [prompt_rate(book, Asked(started_us=t)) for t in (99, 100, 199, 200, 300, 10**15)]
    assert found == [None, 1, 1, 2, 3, 3]
    row = read_prices(engine.connect())[1]
    assert book.cost(Asked(started_us=250), ONE_EACH).price_id == row.id


def test_new_prices_count_after_a_refresh(engine: sa.Engine) -> None:
    book = PriceBook(engine, check_seconds=0)
    assert prompt_rate(book, Asked()) is None
    record_prices(engine, [listed(prompt=1)], 100, "test", whole_listing=True)
    assert prompt_rate(book, Asked()) is None
    book.refresh()
    assert prompt_rate(book, Asked()) == 1
    record_prices(engine, [], 500, "test", whole_listing=True)
    book.refresh()
    assert prompt_rate(book, Asked()) is None, "it vanished from the listing"


def test_the_database_is_not_asked_at_every_batch(engine: sa.Engine) -> None:
    asked = []
    sa.event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    book = PriceBook(engine, check_seconds=3600)
    for _ in range(3):
        book.refresh()
    assert len([statement for statement in asked if "count(" in statement]) == 1


def test_the_endpoint_that_served_where_provider_and_tier_tell_which(engine: sa.Engine) -> None:
    record_prices(
        engine,
        [
            listed(prompt=1),
            endpoint("Solo", "solo", 2),
            endpoint("Spread", "spread/fast", 3),
            endpoint("Spread", "spread/slow", 4),
            endpoint("Agreed", "agreed/a", 5),
            endpoint("Agreed", "agreed/b", 5),
            endpoint("Tiered", "tiered", 6),
            endpoint("Tiered", "tiered/priority", 7, tier="priority"),
        ],
        100,
        "test",
    )
    book = PriceBook(engine)
    rates = {
        (provider, tier): prompt_rate(book, Asked(provider=provider, service_tier=tier))
        for provider, tier in [
            (None, None),
            ("Solo", None),
            ("Solo", "default"),
            ("Spread", None),
            ("Agreed", "standard"),
            ("Nobody", None),
            ("Tiered", None),
            ("Tiered", "priority"),
            ("Tiered", "fast"),
            ("Tiered", "flex"),
            (None, "priority"),
        ]
    }
    assert rates == {
        (None, None): 1,
        ("Solo", None): 2,
        ("Solo", "default"): 2,
        ("Spread", None): 1,  # which of the two is not told: the listing's
        ("Agreed", "standard"): 5,
        ("Nobody", None): 1,
        ("Tiered", None): 6,
        ("Tiered", "priority"): 7,
        ("Tiered", "fast"): 7,
        ("Tiered", "flex"): 1,
        (None, "priority"): 7,  # /responses names no provider, and one endpoint has that tier
    }


def test_an_endpoint_counts_only_while_its_price_is_valid(engine: sa.Engine) -> None:
    record_prices(engine, [listed(prompt=1)], 100, "test")
    record_prices(engine, [endpoint("X", "x", 2)], 200, "test", whole_endpoints=["a/b"])
    record_prices(engine, [], 300, "test", whole_endpoints=["a/b"])
    book = PriceBook(engine)
    rates = [prompt_rate(book, Asked(provider="X", started_us=t)) for t in (150, 250, 350)]
    assert rates == [1, 2, 1]


def test_names_of_a_model_lead_to_its_price(engine: sa.Engine) -> None:
    record_prices(
        engine, [listed(slug="a/b-2026"), listed("a/b:free", prompt=0, slug="a/b-2026")], 100, "t"
    )
    book = PriceBook(engine)
    dated = book.cost(Asked("openrouter/auto", response_model="a/b-2026"), ONE_EACH)
    assert (dated.model, dated.computed_usd) == ("a/b", Decimal(1))
    free = book.cost(Asked("a/b:free", response_model="a/b-2026"), ONE_EACH)
    assert (free.model, free.computed_usd, free.cost_source) == (
        "a/b:free",
        Decimal(0),
        "computed",
    )
    nitro = book.cost(Asked("a/b:nitro"), ONE_EACH)
    assert (nitro.model, nitro.computed_usd) == ("a/b", Decimal(1))
    fallback = Asked("a/b:free", response_model="a/b", parameters='{"models":["a/b"]}')
    assert book.cost(fallback, ONE_EACH).model == "a/b"
    assert book.cost(replace(fallback, parameters=None), ONE_EACH).model == "a/b:free"


def test_an_answer_of_openrouters_cache_is_free(engine: sa.Engine) -> None:
    record_prices(engine, [listed()], 100, "test")
    cost = PriceBook(engine).cost(Asked(cache_status="HIT"), ONE_EACH)
    assert (cost.computed_usd, cost.spent_usd, cost.price_id) == (Decimal(0), Decimal(0), None)
    missed = PriceBook(engine).cost(Asked(cache_status="MISS"), ONE_EACH)
    assert missed.computed_usd == 1


def test_a_price_finer_than_money_and_its_overrides_survive_the_database(
    engine: sa.Engine,
) -> None:
    fine = replace_price(
        listed(),
        prompt=Decimal("0.00000000000000001234567890123456789"),
        discount=Decimal("0.1"),
        overrides=(
            PriceOverride(
                min_prompt_tokens=10,
                utc_start="2200",
                utc_end="0100",
                utc_days=("monday",),
                prompt=Decimal("1E-17"),
            ),
        ),
    )
    record_prices(engine, [fine], 100, "somewhere")
    with engine.connect() as connection:
        (row,) = read_prices(connection)
    assert row == replace_price(
        fine, id=row.id, valid_from_us=100, source="somewhere", fetched_us=100
    )


def test_as_many_names_as_there_are_calls_do_not_fill_the_memory(engine: sa.Engine) -> None:
    record_prices(engine, [listed()], 100, "test")
    book = PriceBook(engine)
    for number in range(25_000):
        book.cost(Asked(f"made/up-{number}"), ONE_EACH)
    assert len(book._timelines) <= 10_000
    assert prompt_rate(book, Asked()) == 1


def replace_price(price: Price, **changes: object) -> Price:
    return msgspec.structs.replace(price, **changes)


CASSETTES = (
    Path(__file__).parents[2]
    / "../shared/openrouter/llm-openrouter/tests/cassettes/test_llm_openrouter"
)


def test_recorded_calls_cost_by_the_recorded_listing_what_was_billed(engine: sa.Engine) -> None:
    index = CASSETTES.parents[3] / "INDEX.jsonl"
    if not index.exists():
        missing("the recorded exchanges are not here")
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    priced = 0
    for cassette in sorted(CASSETTES.glob("*.yaml")):
        exchange = yaml.safe_load(cassette.read_text())["interactions"][0]
        listing = read_models(exchange["response"]["body"]["string"].encode(), 100)
        record_prices(engine, [model.price for model in listing.models], 100, "recorded")
        book = PriceBook(engine)
        for line in lines:
            if Path(line["file"]).name == cassette.name and line["usage"]:
                call = Asked(line["requested_model"], line["model"], path=line["path"])
                sent = SimpleNamespace(usage=json.dumps(line["usage"]).encode(), path=call.path)
                usage = read_usage(sent)  # type: ignore[arg-type]
                assert usage is not None
                cost = book.cost(call, usage)
                assert cost.computed_usd == cost.spent_usd == usage.billed_usd
                assert cost.model == line["requested_model"]
                priced += 1
    assert priced == 5
