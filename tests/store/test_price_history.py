"""The history of prices: never overlapping, never rewritten, right at every instant."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tachograph.core.records import Price
from tachograph.errors import StoreError
from tachograph.store.database import open_engine, write_transaction
from tachograph.store.migrate import ensure, upgrade
from tachograph.store.price_history import Changes, record_prices
from tachograph.store.prices import PriceBook, read_prices, valid_at
from tachograph.store.schema import prices


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('prices')}/calls.db")
    ensure(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(file: sa.Engine) -> sa.Engine:
    forget(file)
    return file


def forget(engine: sa.Engine) -> None:
    with write_transaction(engine) as connection:
        connection.execute(sa.delete(prices))


def price(model: str = "a/b", prompt: int = 1, provider: str | None = None) -> Price:
    return Price(
        model=model,
        provider=provider,
        endpoint_tag=provider,
        valid_from_us=0,
        prompt=Decimal(prompt),
    )


def rows(engine: sa.Engine, model: str | None = None) -> list[Price]:
    with engine.connect() as connection:
        return read_prices(connection, model)


def rate_at(history: list[Price], model: str, instant: int) -> int | None:
    valid = [row for row in history if row.model == model and valid_at(row, instant)]
    assert len(valid) <= 1, "two prices at one instant"
    return int(valid[0].prompt or 0) if valid else None


def intervals(history: list[Price]) -> list[tuple[int, int | None, int]]:
    return [(row.valid_from_us, row.valid_until_us, int(row.prompt or 0)) for row in history]


def counts(changes: Changes) -> tuple[int, int, int, int]:
    return len(changes.new), len(changes.changed), changes.unchanged, len(changes.gone)


def test_new_unchanged_changed_gone(engine: sa.Engine) -> None:
    whole = {"source": "t", "whole_listing": True}
    first = record_prices(engine, [price("a"), price("b")], 100, **whole)  # type: ignore[arg-type]
    second = record_prices(engine, [price("a"), price("b", 2)], 200, **whole)  # type: ignore[arg-type]
    third = record_prices(engine, [price("b", 2), price("c")], 300, **whole)  # type: ignore[arg-type]
    fourth = record_prices(engine, [price("a")], 400, "t")
    assert [counts(c) for c in (first, second, third, fourth)] == [
        (2, 0, 0, 0),
        (0, 1, 1, 0),
        (1, 0, 1, 1),
        (1, 0, 0, 0),
    ]
    (was, now) = second.changed[0]
    assert was.prompt == 1
    assert now.prompt == 2
    assert intervals(rows(engine, "a")) == [(100, 300, 1), (400, None, 1)]
    assert intervals(rows(engine, "b")) == [(100, 200, 1), (200, None, 2)]


def test_a_row_tells_where_and_when_it_was_read(engine: sa.Engine) -> None:
    record_prices(engine, [price()], 100, "somewhere")
    (row,) = rows(engine)
    assert (row.source, row.fetched_us) == ("somewhere", 100)


def test_a_new_name_is_a_new_row(engine: sa.Engine) -> None:
    record_prices(engine, [price()], 100, "t")
    record_prices(engine, [replace(price(), canonical_slug="a/b-2026")], 200, "t")
    assert [row.canonical_slug for row in rows(engine)] == [None, "a/b-2026"]


def test_an_excerpt_closes_nothing_and_a_misread_entry_is_not_gone(engine: sa.Engine) -> None:
    record_prices(engine, [price("a"), price("b"), price("a", provider="X")], 100, "t")
    record_prices(engine, [price("a")], 200, "t")
    record_prices(engine, [price("a")], 300, "t", whole_listing=True, misread=["b"])
    record_prices(engine, [], 400, "t", whole_endpoints=["a"], misread=["X"])
    assert all(row.valid_until_us is None for row in rows(engine))
    gone = record_prices(engine, [price("a")], 500, "t", whole_listing=True, whole_endpoints=["a"])
    assert {(p.model, p.provider) for p in gone.gone} == {("b", None), ("a", "X")}


def test_since_reaches_back_from_the_first_price_known(engine: sa.Engine) -> None:
    record_prices(engine, [price("a", 1), price("b", 1)], 100, "t")
    record_prices(engine, [price("a", 2), price("c", 3)], 200, "t", valid_from_us=10)
    assert intervals(rows(engine, "a")) == [(10, 100, 1), (100, 200, 1), (200, None, 2)]
    assert intervals(rows(engine, "b")) == [(100, None, 1)], "it was not read with --since"
    assert intervals(rows(engine, "c")) == [(10, None, 3)]
    record_prices(engine, [price("a", 2)], 300, "t", valid_from_us=50)
    assert len(rows(engine, "a")) == 3, "what is known further back stays"


def test_an_old_listing_speaks_until_the_next_reading(engine: sa.Engine) -> None:
    record_prices(engine, [price("a", 2)], 500, "new", valid_from_us=10)
    record_prices(engine, [price("a", 1), price("b", 7)], 100, "old")
    assert intervals(rows(engine, "a")) == [(10, 100, 2), (100, 500, 1), (500, None, 2)]
    assert intervals(rows(engine, "b")) == [(100, None, 7)]
    record_prices(engine, [price("a", 3)], 50, "older")
    assert [rate_at(rows(engine), "a", t) for t in (10, 50, 100, 499, 500)] == [2, 3, 1, 1, 2]


def test_of_two_entries_of_one_model_the_first_counts(engine: sa.Engine) -> None:
    """Pages of a listing may overlap when a model is added meanwhile."""
    record_prices(engine, [price("a", 1), price("a", 2)], 100, "t")
    assert intervals(rows(engine)) == [(100, None, 1)]


def test_a_correction_of_the_same_instant_counts(engine: sa.Engine) -> None:
    record_prices(engine, [price("a", 1)], 100, "t")
    record_prices(engine, [price("a", 2)], 100, "t")
    assert rate_at(rows(engine), "a", 100) == rate_at(rows(engine), "a", 10**9) == 2


def test_a_failure_names_the_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StoreError, match=r"empty\.db: no such table: prices"):
        record_prices(engine, [price()], 100, "t")
    engine.dispose()


def _sync(url: str, prompt: int) -> None:
    engine = open_engine(url)
    for instant in range(1, 8):
        models = [price(f"m{number}", prompt * 100 + instant) for number in range(20)]
        record_prices(engine, models, instant * 10, f"process {prompt}")
    engine.dispose()


def test_two_processes_that_sync_at_once_leave_one_history(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    engine = open_engine(url)
    ensure(engine)
    context = get_context("spawn")
    processes = [context.Process(target=_sync, args=(url, number)) for number in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    history = rows(engine)
    engine.dispose()
    for number in range(20):
        for instant in range(5, 300, 5):
            rate_at(history, f"m{number}", instant)


def test_the_same_on_postgresql(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    upgrade(engine)
    record_prices(engine, [price("a", 2), price("b")], 500, "t", valid_from_us=10)
    record_prices(engine, [price("a", 1)], 100, "t")
    changes = record_prices(engine, [price("a", 3)], 900, "t", whole_listing=True)
    assert counts(changes) == (0, 1, 0, 1)
    assert [rate_at(rows(engine), "a", t) for t in (10, 100, 500, 900)] == [2, 1, 2, 3]
    PriceBook(engine).refresh()
    engine.dispose()


MODELS = ("a", "b", "c")
reading = st.dictionaries(st.sampled_from(MODELS), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), reading, st.booleans()), min_size=1, max_size=8))
def test_listings_in_order_make_a_step_function(
    file: sa.Engine, readings: list[tuple[int, dict[str, int], bool]]
) -> None:
    naive: list[tuple[int, dict[str, int]]] = []
    instant = 0
    forget(file)
    for pause, read, whole in readings:
        instant += pause
        known = naive[-1][1] if naive else {}
        naive.append((instant, read if whole else {**known, **read}))
        stored = {row.id: row for row in rows(file)}
        models = [price(model, rate) for model, rate in read.items()]
        record_prices(file, models, instant, "t", whole_listing=whole)
        for row in rows(file):
            if row.id in stored:
                before = stored[row.id]
                assert replace(row, valid_until_us=before.valid_until_us) == before
    history = rows(file)
    for at in range(instant + 3):
        expected = next((known for since, known in reversed(naive) if since <= at), {})
        assert {m: rate_at(history, m, at) for m in MODELS} == {
            model: expected.get(model) for model in MODELS
        }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 30), reading, st.none() | st.integers(0, 30)),
        min_size=1,
        max_size=8,
    )
)
def test_readings_in_any_order_never_overlap_and_each_is_right_when_it_is_entered(
    file: sa.Engine, readings: list[tuple[int, dict[str, int], int | None]]
) -> None:
    forget(file)
    for instant, read, since in readings:
        before = rows(file)
        models = [price(model, rate) for model, rate in read.items()]
        record_prices(file, models, instant, "t", valid_from_us=since)
        history = rows(file)
        later = {row.fetched_us for row in before if (row.fetched_us or 0) > instant}
        for model in MODELS:
            if model in read:
                assert rate_at(history, model, instant) == read[model]
            for at in range(33):
                known = rate_at(before, model, at)
                now = rate_at(history, model, at)
                if at in later and known is not None:
                    assert now == known, "what was read later is not unlearned"
