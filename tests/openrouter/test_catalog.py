"""Listings as they come: what is taken, what is left out by name."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tachograph.openrouter.catalog import read_endpoints, read_models
from tests.required import missing

SHARED = Path(__file__).parents[2] / ".." / "shared" / "openrouter"
CASSETTES = SHARED / "llm-openrouter/tests/cassettes/test_llm_openrouter"
T = 1_700_000_000_000_000


def listing(*models: Any, **envelope: Any) -> bytes:
    return json.dumps({"data": models, **envelope}).encode()


def entry(**pricing: Any) -> dict[str, Any]:
    return {"id": "a/b", "pricing": {"prompt": "1", "completion": "2", **pricing}}


def shared(path: Path) -> bytes:
    if not path.exists():
        missing("the recorded exchanges are not here")
    return path.read_bytes()


def test_a_model_with_all_its_prices() -> None:
    page = read_models(
        listing(
            {
                "id": "a/b:free",
                "canonical_slug": "a/b-20260922",
                "name": "A: B",
                "alias_target": {"name": "C", "slug": "a/c"},
                "context_length": 1000,
                "something_new": {"deep": [1]},
                "pricing": {
                    "prompt": "0.00000000000000001234",
                    "completion": "0",
                    "image_output": "-1",
                    "discount": 0.1,
                    "something_new": "0.5",
                },
            },
            total_count=7,
            links={"next": "/api/v1/models?offset=1"},
        ),
        T,
    )
    (model,) = page.models
    assert (model.id, model.name, model.context_length) == ("a/b:free", "A: B", 1000)
    assert (model.canonical_slug, model.alias_target) == ("a/b-20260922", "a/c")
    assert (page.total, page.next, page.problems) == (7, "/api/v1/models?offset=1", ())
    price = model.price
    assert price.prompt == Decimal("1.234E-17"), "finer than any money that is stored"
    assert price.completion == 0
    assert price.image_output is None, "-1 is a router's choice, never a negative price"
    assert price.request is None
    assert price.discount == Decimal("0.1"), "as written, not as the nearest binary fraction"
    assert (price.model, price.valid_from_us, price.fetched_us) == ("a/b:free", T, T)
    assert (price.canonical_slug, price.alias_target) == ("a/b-20260922", "a/c")


def test_overrides() -> None:
    page = read_models(
        listing(
            entry(
                overrides=[
                    {"min_prompt_tokens": 200000.0, "prompt": "3", "input_cache_write_1h": "-1"},
                    {"utc_start": 1630, "utc_end": 30, "utc_days": ["monday"], "completion": "1"},
                    {"utc_start": 0, "utc_end": 2400.0},
                ]
            )
        ),
        T,
    )
    long, night, day = page.models[0].price.overrides
    assert (long.min_prompt_tokens, long.prompt) == (200_000, Decimal(3))
    assert long.input_cache_write_1h is None
    assert (night.utc_start, night.utc_end, night.utc_days) == ("1630", "0030", ("monday",))
    assert night.completion == 1
    assert (day.utc_start, day.utc_end) == ("0000", "2400")


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (3, "entry 1"),
        ({"id": "a/b"}, "a/b"),
        ({"pricing": {}}, "entry 1"),
        ({"id": "", "pricing": {}}, "entry 1"),
        ({"id": "a/b", "pricing": None}, "a/b"),
        (entry(prompt="cheap"), "a/b"),
        (entry(prompt="NaN"), "a/b"),
        (entry(prompt="Infinity"), "a/b"),
        (entry(prompt="sNaN"), "a/b"),
        (entry(prompt="-0.5"), "a/b"),
        (entry(prompt="1e99999"), "a/b"),
        (entry(prompt="1e-99999"), "a/b"),
        (entry(discount=1.5), "a/b"),
        (entry(discount="NaN"), "a/b"),
        (entry(overrides=[{"unheard_of": 5, "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"utc_start": 1200, "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"utc_start": 1260, "utc_end": 1300, "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"utc_start": 0, "utc_end": 2500, "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"min_prompt_tokens": 0.5, "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"min_prompt_tokens": "NaN", "prompt": "1"}]), "a/b"),
        (entry(overrides=[{"utc_days": ["someday"], "prompt": "1"}]), "a/b"),
    ],
)
def test_an_entry_that_is_not_understood_is_named_and_the_others_are_taken(
    bad: Any, name: str
) -> None:
    page = read_models(listing(bad, {**entry(), "id": "c/d"}), T)
    assert [model.id for model in page.models] == ["c/d"]
    (problem,) = page.problems
    assert problem.name == name
    assert str(problem).startswith(f"{name}: ")


def test_broken_characters_in_an_entry_do_not_spoil_the_others() -> None:
    body = b'{"data": [{"id": "a\xff", "pricing": {}}, {"id": "c", "pricing": {}}]}'
    page = read_models(body, T)
    assert [model.id for model in page.models] == ["c"]
    assert [problem.name for problem in page.problems] == ["entry 1"]


def test_of_two_entries_of_one_name_the_first_counts() -> None:
    page = read_models(listing(entry(prompt="1"), entry(prompt="2")), T)
    assert [model.price.prompt for model in page.models] == [1]
    assert [problem.name for problem in page.problems] == ["a/b"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"data": {}}', b'{"data": 3}'])
def test_something_else_than_a_listing_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer of /models"):
        read_models(body, T)
    with pytest.raises(ValueError, match="not an answer of /endpoints"):
        read_endpoints(body, T)


def endpoint(tag: str = "x/fast", **others: Any) -> dict[str, Any]:
    return {"provider_name": "X", "tag": tag, "pricing": {"prompt": "1"}, **others}


def test_endpoints() -> None:
    body = {
        "data": {
            "id": "a/b",
            "endpoints": [
                endpoint(service_tier="priority"),
                {"tag": "y", "pricing": {}},
                endpoint("x/slow"),
                endpoint("x/slow", pricing={"prompt": "2"}),
                endpoint("x/slow"),
            ],
        }
    }
    answer = read_endpoints(json.dumps(body).encode(), T)
    assert answer.model == "a/b"
    assert [(p.provider, p.endpoint_tag, p.service_tier, p.prompt) for p in answer.prices] == [
        ("X", "x/fast", "priority", Decimal(1)),
        ("X", "x/slow", None, Decimal(1)),
    ]
    assert [problem.name for problem in answer.problems] == ["y", "x/slow"]


def test_recorded_endpoints() -> None:
    folder = SHARED / "transcribed"
    gemma = read_endpoints(
        shared(folder / "harness-tally/endpoints.google_gemma-4-31b-it.2026-09-25.json"), T
    )
    kimi = read_endpoints(
        shared(folder / "other/endpoints.moonshotai_kimi-k3.reduced.2026-08-25.json"), T
    )
    assert (len(gemma.prices), len(kimi.prices)) == (15, 4)
    assert gemma.problems == kimi.problems == ()
    turbo = next(price for price in gemma.prices if price.endpoint_tag == "deepinfra/turbo")
    assert (turbo.provider, turbo.prompt) == ("DeepInfra", Decimal("0.00000009"))


def test_recorded_listings() -> None:
    excerpt = read_models(shared(SHARED / "transcribed/other/models-excerpt.2026-09-25.json"), T)
    assert [model.id for model in excerpt.models] == [
        "openai/gpt-6-luna-pro",
        "openai/gpt-6-luna-pro:batch",
        "stealth/space-bunny-alpha",
    ]
    assert excerpt.models[0].price.overrides[0].min_prompt_tokens == 272_000
    assert excerpt.models[2].price.prompt == 0
    cassettes = sorted(CASSETTES.glob("*.yaml"))
    assert cassettes
    for cassette in cassettes:
        exchange = yaml.safe_load(cassette.read_text())["interactions"][0]
        page = read_models(exchange["response"]["body"]["string"].encode(), T)
        assert page.problems == ()
        assert page.total == 338
        sonnet = next(m for m in page.models if m.id == "anthropic/claude-sonnet-4")
        assert sonnet.price.input_cache_write_1h == Decimal("0.000006")


numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "pricing", "prompt", "overrides", "utc_start", "utc_end", "discount", "tag"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=5))
def test_whatever_stands_in_a_listing_is_taken_or_named(entries: list[Any]) -> None:
    page = read_models(
        json.dumps({"data": entries}).replace("NaN", "null").replace("Infinity", "1").encode(), T
    )
    assert len(page.models) + len(page.problems) == len(entries)
