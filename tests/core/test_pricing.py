"""Usage x Price: what each rate is applied to, and when the answer is unknown."""

from __future__ import annotations

import ast
import decimal
import inspect
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from tachograph.core import pricing
from tachograph.core.pricing import WEEKDAYS, compute, matches, settle
from tachograph.core.records import Price, PriceOverride, Usage
from tachograph.openrouter import catalog

MICRO = Decimal("1E-6")


def price(**rates: str | Decimal | tuple[PriceOverride, ...]) -> Price:
    exact = {k: Decimal(v) if isinstance(v, str) else v for k, v in rates.items()}
    return Price(model="m", valid_from_us=0, **exact)  # type: ignore[arg-type]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


PLAIN = price(prompt="0.000003", completion="0.000015")
CACHED = replace(
    PLAIN,
    input_cache_read=Decimal("0.0000003"),
    input_cache_write=Decimal("0.00000375"),
    input_cache_write_1h=Decimal("0.000006"),
)


@pytest.mark.parametrize(
    ("usage", "rates", "expected"),
    [
        pytest.param(Usage(input_tokens=10, output_tokens=2), PLAIN, "0.00006", id="plain"),
        pytest.param(Usage(input_tokens=0, output_tokens=0), PLAIN, "0", id="zero is zero"),
        pytest.param(
            Usage(input_tokens=10, output_tokens=2, reasoning_output_tokens=2),
            replace(PLAIN, internal_reasoning=Decimal("0.000015")),
            "0.00006",
            id="reasoning is in the output already",
        ),
        pytest.param(
            Usage(
                input_tokens=100,
                output_tokens=0,
                cache_read_input_tokens=50,
                cache_write_input_tokens=40,
                cache_write_1h_input_tokens=10,
            ),
            CACHED,
            "0.0002175",
            id="cached reads, five-minute and one-hour writes",
        ),
        pytest.param(
            Usage(input_tokens=100, output_tokens=0, cache_read_input_tokens=50),
            PLAIN,
            "0.0003",
            id="without a rate of their own cached tokens cost as the prompt",
        ),
        pytest.param(
            Usage(
                input_tokens=2168,
                output_tokens=0,
                cache_read_input_tokens=2161,
                cache_write_input_tokens=2161,
            ),
            CACHED,
            "0.00877305",
            id="Gemini tells the same tokens as read and as written",
        ),
        pytest.param(
            Usage(input_tokens=7, output_tokens=1304, image_output_tokens=1290),
            price(prompt="0.0000003", completion="0.0000025", image_output="0.00003"),
            "0.0387371",
            id="an image answer",
        ),
        pytest.param(
            Usage(input_tokens=30, output_tokens=20, audio_input_tokens=10, audio_output_tokens=15),
            price(
                prompt="0.000001", completion="0.000002", audio="0.000004", audio_output="0.000008"
            ),
            "0.00019",
            id="audio in and out",
        ),
        pytest.param(
            Usage(input_tokens=10, output_tokens=2, web_searches=3),
            replace(PLAIN, web_search=Decimal("0.01"), request=Decimal("0.005")),
            "0.03506",
            id="searches and the fee for a call",
        ),
        pytest.param(
            Usage(input_tokens=10, output_tokens=2),
            replace(PLAIN, discount=Decimal("0.25")),
            "0.000045",
            id="discount",
        ),
        pytest.param(
            Usage(input_tokens=10), price(prompt="0.00000002", completion="0"), "2E-7", id="embeds"
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5),
            price(prompt="0", completion="0"),
            "0",
            id="free",
        ),
    ],
)
def test_cost(usage: Usage, rates: Price, expected: str) -> None:
    assert compute(usage, rates, 0) == Decimal(expected)


@pytest.mark.parametrize(
    ("usage", "rates"),
    [
        pytest.param(Usage(), PLAIN, id="no counts at all"),
        pytest.param(Usage(), price(prompt="0", completion="0"), id="nor for a free price"),
        pytest.param(Usage(output_tokens=5), PLAIN, id="no input count"),
        pytest.param(Usage(input_tokens=5), PLAIN, id="no output count"),
        pytest.param(Usage(input_tokens=5, output_tokens=5), price(), id="a router decides"),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5), price(prompt="1"), id="no rate for the output"
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5, web_searches=1), PLAIN, id="no rate for searches"
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5, image_output_tokens=1), PLAIN, id="nor images"
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5, audio_input_tokens=1), PLAIN, id="nor audio"
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5, audio_input_tokens=2, cache_read_input_tokens=2),
            replace(PLAIN, audio=Decimal("0.000007")),
            id="how much of the audio was cached is not told",
        ),
        pytest.param(
            Usage(
                input_tokens=5,
                output_tokens=5,
                cache_write_input_tokens=2,
                cache_write_1h_input_tokens=2,
            ),
            replace(PLAIN, input_cache_write=Decimal("0.000004")),
            id="writes for an hour are dearer, by how much is not told",
        ),
        pytest.param(
            Usage(input_tokens=5, output_tokens=5, cache_read_input_tokens=6),
            PLAIN,
            id="more cached than there was",
        ),
        pytest.param(Usage(search_units=1, total_tokens=9), PLAIN, id="search units"),
        pytest.param(
            Usage(audio_seconds=1.5, input_tokens=5, output_tokens=5), PLAIN, id="seconds of audio"
        ),
        pytest.param(
            Usage(input_tokens=2**62, output_tokens=0), PLAIN, id="more than a column can hold"
        ),
    ],
)
def test_unknown_is_none(usage: Usage, rates: Price) -> None:
    assert compute(usage, rates, 0) is None


def test_the_apps_decimal_settings_change_nothing() -> None:
    usage = Usage(input_tokens=1_234_567, output_tokens=7_654_321)
    rates = price(prompt="0.000000123456789", completion="0.00000098765432199")
    exact = compute(usage, rates, 0)
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert compute(usage, rates, 0) == exact
    assert exact == Decimal("7.712238895174")


@pytest.mark.parametrize("module", [pricing, catalog])
def test_no_float_is_near_the_money(module: ModuleType) -> None:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Name) and node.id == "float")


def test_money_is_rounded_once_half_to_even() -> None:
    finer = price(prompt="0.0000000000005", completion="0")
    costs = [compute(Usage(input_tokens=n, output_tokens=0), finer, 0) for n in range(1, 6)]
    assert costs == [Decimal(n) * Decimal("1E-12") for n in (0, 1, 2, 2, 2)]


LONG = PriceOverride(min_prompt_tokens=200_000, prompt=Decimal("0.000006"))


@pytest.mark.parametrize(
    ("tokens", "doubled"), [(199_999, False), (200_000, False), (200_001, True)]
)
def test_a_long_prompt_is_strictly_longer_and_reprices_all_of_it(
    tokens: int, doubled: bool
) -> None:
    usage = Usage(input_tokens=tokens, output_tokens=10, cache_read_input_tokens=0)
    rates = replace(PLAIN, overrides=(LONG,))
    per_token = 6 * MICRO if doubled else 3 * MICRO
    assert compute(usage, rates, 0) == tokens * per_token + 10 * 15 * MICRO


def test_of_several_overrides_the_later_wins_rate_by_rate() -> None:
    rates = replace(
        PLAIN,
        overrides=(
            PriceOverride(min_prompt_tokens=10, prompt=Decimal(1), completion=Decimal(1)),
            PriceOverride(min_prompt_tokens=20, prompt=Decimal(2)),
            PriceOverride(min_prompt_tokens=1000, prompt=Decimal(9)),
        ),
    )
    assert compute(Usage(input_tokens=21, output_tokens=3), rates, 0) == 21 * 2 + 3
    assert compute(Usage(input_tokens=20, output_tokens=3), rates, 0) == 20 + 3


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("0100", "0430", ["01:00", "04:29"], ["00:59", "04:30", "23:00"]),
        ("1630", "0030", ["16:30", "23:59", "00:00", "00:29"], ["00:30", "12:00", "16:29"]),
        ("2200", "2400", ["22:00", "23:59"], ["00:00", "21:59"]),
        ("0000", "0000", ["00:00", "12:00", "23:59"], []),
    ],
)
def test_hours_are_half_open_and_may_wrap_midnight(
    start: str, end: str, inside: list[str], outside: list[str]
) -> None:
    override = PriceOverride(utc_start=start, utc_end=end, prompt=Decimal(1))
    assert all(matches(override, 1, at(f"2026-11-02 {clock}")) for clock in inside)
    assert not any(matches(override, 1, at(f"2026-11-02 {clock}")) for clock in outside)


def test_days_are_those_of_the_instant_in_utc() -> None:
    weekend = PriceOverride(utc_days=("saturday", "sunday"), prompt=Decimal(1))
    assert matches(weekend, 1, at("2026-11-21 00:00"))
    assert matches(weekend, 1, at("2026-11-22 23:59"))
    assert not matches(weekend, 1, at("2026-11-23 00:00"))
    assert not matches(weekend, 1, at("2026-11-20 23:59"))


@given(st.integers(0, 4_000_000_000_000_000), st.integers(0, 23), st.integers(0, 59))
def test_conditions_agree_with_the_calendar(instant: int, hour: int, minute: int) -> None:
    when = datetime.fromtimestamp(instant // 1_000_000, UTC)
    day = PriceOverride(utc_days=(WEEKDAYS[when.weekday()],))
    assert matches(day, 1, instant)
    start = f"{hour:02d}{minute:02d}"
    after = PriceOverride(utc_start=start, utc_end="2400")
    assert matches(after, 1, instant) == ((when.hour, when.minute) >= (hour, minute))


rate = st.decimals(0, Decimal("0.001"), places=12)
count = st.integers(0, 10_000_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, read, write_5m, write_1h, text, image, searches = (draw(count) for _ in range(7))
    return Usage(
        input_tokens=fresh + read + write_5m + write_1h,
        output_tokens=text + image,
        cache_read_input_tokens=read,
        cache_write_input_tokens=write_5m + write_1h,
        cache_write_1h_input_tokens=write_1h,
        image_output_tokens=image,
        web_searches=searches,
    )


prices = st.builds(
    Price,
    model=st.just("m"),
    valid_from_us=st.just(0),
    **dict.fromkeys(
        (
            "prompt",
            "completion",
            "image_output",
            "web_search",
            "input_cache_read",
            "input_cache_write",
            "input_cache_write_1h",
        ),
        rate,
    ),
)


def times(usage: Usage, n: int) -> Usage:
    return Usage(**{k: v * n for k, v in asdict(usage).items() if v is not None})


def plus(one: Usage, other: Usage) -> Usage:
    both = asdict(other)
    return Usage(**{k: v + both[k] for k, v in asdict(one).items() if v is not None})


def known(usage: Usage, rates: Price) -> Decimal:
    cost = compute(usage, rates, 0)
    assert type(cost) is Decimal
    return cost


@given(usages(), usages(), prices, st.integers(0, 1000))
def test_cost_is_linear_in_usage(one: Usage, other: Usage, rates: Price, n: int) -> None:
    assert known(plus(one, other), rates) == known(one, rates) + known(other, rates)
    assert known(times(one, n), rates) == n * known(one, rates)


@given(usages(), prices, st.decimals(0, 1, places=4))
def test_a_discount_takes_its_share_of_everything(
    usage: Usage, rates: Price, discount: Decimal
) -> None:
    full = known(usage, replace(rates, request=Decimal("0.01")))
    less = known(usage, replace(rates, request=Decimal("0.01"), discount=discount))
    assert abs(less - full * (1 - discount)) <= Decimal("5E-13")


@given(usages(), prices, st.sampled_from(["input_cache_write_1h", "image_output", "web_search"]))
def test_a_rate_makes_the_cost_unknown_only_where_it_is_needed(
    usage: Usage, rates: Price, name: str
) -> None:
    counts = {
        "input_cache_write_1h": usage.cache_write_1h_input_tokens,
        "image_output": usage.image_output_tokens,
        "web_search": usage.web_searches,
    }
    cost = compute(usage, replace(rates, **{name: None}), 0)
    assert (cost is None) == bool(counts[name])


@pytest.mark.parametrize(
    ("usage", "computed", "spent", "source"),
    [
        (Usage(billed_usd=Decimal(2), upstream_usd=Decimal(2), is_byok=False), 3, 2, "billed"),
        (Usage(billed_usd=Decimal(2), upstream_usd=Decimal(1)), 3, 2, "billed"),
        (Usage(billed_usd=Decimal(0), is_byok=False), 3, 0, "billed"),
        (Usage(billed_usd=Decimal(1), upstream_usd=Decimal(9), is_byok=True), 3, 10, "billed"),
        (Usage(billed_usd=Decimal(1), is_byok=True), 3, 3, "computed"),
        (Usage(billed_usd=Decimal(1), is_byok=True), None, None, "unknown"),
        # ours is too low: what was billed is certain
        (Usage(billed_usd=Decimal(4), is_byok=True), 3, 4, "billed"),
        (Usage(input_tokens=1), 3, 3, "computed"),
        (Usage(input_tokens=1), None, None, "unknown"),
        (None, None, None, "unknown"),
    ],
)
def test_what_was_spent_and_what_that_rests_on(
    usage: Usage | None, computed: int | None, spent: int | None, source: str
) -> None:
    figure = None if computed is None else Decimal(computed)
    cost = settle(usage, figure, model="m", price_id=7)
    assert (cost.spent_usd, cost.cost_source) == (spent, source)
    assert (cost.model, cost.computed_usd) == ("m", computed)
    assert cost.price_id == (None if computed is None else 7)
