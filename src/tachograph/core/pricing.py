"""What a call cost: Usage x Price in exact decimals, and which figure its user really spent.

The formula was checked against recorded bills: cached reads and writes have rates of their own
(else that of the prompt), image and audio tokens are taken out of the rest, reasoning is part of
the output already, and the discount is on all of it. Money is rounded once, at the end, half to
even, to 10^-12 USD.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tachograph.core.records import Cost, CostSource
from tachograph.core.units import PICO

if TYPE_CHECKING:
    from tachograph.core.records import Price, PriceOverride, Usage

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The days of `PriceOverride.utc_days`, in the order of `datetime.weekday`."""

_REPRICED = (
    "prompt",
    "completion",
    "audio",
    "input_audio_cache",
    "input_cache_read",
    "input_cache_write",
    "input_cache_write_1h",
)
_ZERO = Decimal(0)
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
"""Wide enough that no product or sum of counts and rates is rounded, whatever the app has set."""
_MOST_USD = Decimal(2**63 - 1).scaleb(-12)

_MINUTE_US = 60_000_000
_DAY_US = 24 * 60 * _MINUTE_US


def compute(usage: Usage, price: Price, at_us: int) -> Decimal | None:
    """USD for a call that began at `at_us`; None when a count or a rate that it needs is unknown.

    A sub-count that was not sent is taken as none. Seconds of audio and search units have no
    rate in the listing, so calls that are counted in them are unknown too.
    """
    if usage.search_units is not None or usage.audio_seconds is not None:
        return None
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    if price.overrides:
        price = effective(price, usage.input_tokens, at_us)
    total = price.request or _ZERO
    for count, rate in (
        *_input(usage, price),
        *_output(usage, price),
        (usage.web_searches or 0, price.web_search),
    ):
        if count == 0 or rate == 0:
            continue
        if count is None or rate is None or count < 0:
            return None
        total = _EXACT.fma(count, rate, total)
    if price.discount:
        total = _EXACT.multiply(total, _EXACT.subtract(1, price.discount))
    return round_usd(total)


def effective(price: Price, input_tokens: int | None, at_us: int) -> Price:
    """The price with those overrides applied that hold; the later wins, rate by rate."""
    for override in price.overrides:
        if matches(override, input_tokens, at_us):
            price = with_rates(price, override)
    return price


def with_rates(price: Price, override: PriceOverride) -> Price:
    """The price with the rates of an override, and with no overrides left."""
    rates = {name: rate for name in _REPRICED if (rate := getattr(override, name)) is not None}
    return replace(price, overrides=(), **rates)


def matches(override: PriceOverride, input_tokens: int | None, at_us: int) -> bool:
    """Whether all conditions of an override hold; an unknown prompt is not taken for a long one."""
    if override.min_prompt_tokens is not None and (
        input_tokens is None or input_tokens <= override.min_prompt_tokens
    ):
        return False
    # 1 January 1970 was a Thursday.
    day = WEEKDAYS[(at_us // _DAY_US + 3) % 7]
    if override.utc_days is not None and day not in override.utc_days:
        return False
    if override.utc_start is None or override.utc_end is None:
        return True
    minute = at_us % _DAY_US // _MINUTE_US
    start, end = _minutes(override.utc_start), _minutes(override.utc_end)
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def settle(
    usage: Usage | None,
    computed: Decimal | None,
    *,
    model: str | None = None,
    price_id: int | None = None,
) -> Cost:
    """The cost of one call: what its user spent, and what that figure rests on.

    OpenRouter's own figure counts before ours. With the user's own provider key it is only the
    fee, and the provider's bill comes on top; where that is not told, ours stands for all of it,
    as long as it is not below the fee.
    """
    spent = computed
    source: CostSource = "computed"
    if usage is not None and usage.billed_usd is not None:
        if not usage.is_byok:
            spent, source = usage.billed_usd, "billed"
        elif usage.upstream_usd is not None:
            spent, source = round_usd(_EXACT.add(usage.billed_usd, usage.upstream_usd)), "billed"
        elif computed is not None and computed < usage.billed_usd:
            spent, source = usage.billed_usd, "billed"
    return Cost(
        model=model,
        spent_usd=spent,
        computed_usd=computed,
        cost_source="unknown" if spent is None else source,
        price_id=price_id if computed is not None else None,
    )


def round_usd(usd: Decimal) -> Decimal | None:
    """USD as they are stored: half to even at 10^-12; None for more than a column can hold."""
    rounded = _EXACT.quantize(usd, PICO)
    return rounded if rounded <= _MOST_USD else None


_Part = tuple[int | None, Decimal | None]
"""So many, at so much each; None when unknown."""

_UNKNOWN: tuple[_Part, ...] = ((None, None),)


def _input(usage: Usage, price: Price) -> tuple[_Part, ...]:
    if usage.input_tokens is None:
        return ((None, price.prompt),)
    cached = usage.cache_read_input_tokens or 0
    written = usage.cache_write_input_tokens or 0
    written_1h = usage.cache_write_1h_input_tokens or 0
    audio = usage.audio_input_tokens or 0
    fresh = usage.input_tokens - cached - written
    if fresh < 0:
        # Gemini's explicit cache reports the same tokens as written and as read.
        fresh = usage.input_tokens - max(cached, written)
    if audio and price.audio != price.prompt:
        if cached or written:
            return _UNKNOWN  # how much of the audio was cached is not reported
        fresh -= audio
    else:
        audio = 0
    return (
        (fresh, price.prompt),
        (audio, price.audio),
        (cached, _first(price.input_cache_read, price.prompt)),
        (written - written_1h, _first(price.input_cache_write, price.prompt)),
        (written_1h, _write_1h_rate(price)),
    )


def _output(usage: Usage, price: Price) -> tuple[_Part, ...]:
    if usage.output_tokens is None:
        return ((None, price.completion),)
    image = usage.image_output_tokens or 0
    audio = usage.audio_output_tokens or 0
    return (
        (usage.output_tokens - image - audio, price.completion),
        (image, price.image_output),
        (audio, price.audio_output),
    )


def _write_1h_rate(price: Price) -> Decimal | None:
    if price.input_cache_write_1h is None and price.input_cache_write is not None:
        return None  # dearer than a write for five minutes, by how much is not said
    return _first(price.input_cache_write_1h, price.prompt)


def _first(rate: Decimal | None, otherwise: Decimal | None) -> Decimal | None:
    return otherwise if rate is None else rate


def _minutes(hhmm: str) -> int:
    return int(hhmm[:2]) * 60 + int(hhmm[2:])
