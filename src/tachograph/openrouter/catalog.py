"""The catalogue: answers of `/models` and `/models/{author}/{slug}/endpoints` -> Model, Price.

An entry that cannot be understood is left out and named as a `Problem`; the others are taken.
Prices stay the decimals that were sent. "-1" means that a router decides: unknown, None. "0" is
free.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec

from tachograph.core.pricing import WEEKDAYS
from tachograph.core.records import Price, PriceOverride

LARGEST_PAGE = 1000
"""The most models that one answer of `/models` holds (`limit`)."""

_ROUTER_DECIDES = Decimal(-1)
_MOST = 10**12
_FINEST = Decimal("1E-40")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model on offer, at its listed price: that of the provider ranked first."""

    id: str
    name: str | None
    canonical_slug: str | None
    """The dated name, which answers may carry; variants of a model share it."""
    alias_target: str | None
    """Of an alias (`~author/family-latest`): the model behind it now."""
    context_length: int | None
    price: Price


class Problem(msgspec.Struct, frozen=True):
    """An entry that was left out, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One page of `/models`."""

    models: tuple[Model, ...]
    problems: tuple[Problem, ...]
    total: int | None
    """How many models all pages hold."""
    next: str | None
    """Where the next page is; None on the last one."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The provider endpoints of one model."""

    model: str
    prices: tuple[Price, ...]
    problems: tuple[Problem, ...]


def read_models(body: bytes, fetched_us: int) -> Listing:
    """The models of a `/models` answer, priced from `fetched_us` on.

    ValueError when the answer is no listing at all.
    """
    try:
        page = msgspec.json.decode(body, type=_ModelsPage)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an answer of /models: {error}") from error
    models, problems, seen = [], [], set()
    for number, raw in enumerate(page.data, 1):
        try:
            entry = msgspec.json.decode(raw, type=_ModelEntry)
            model = _model(entry, fetched_us)
        except ValueError as error:
            problems.append(Problem(_name(raw, "id", number), str(error)))
            continue
        if model.id in seen:
            problems.append(Problem(model.id, "listed twice; the first entry was taken"))
            continue
        seen.add(model.id)
        models.append(model)
    return Listing(
        models=tuple(models),
        problems=tuple(problems),
        total=page.total_count,
        next=page.links.next if page.links else None,
    )


def read_endpoints(body: bytes, fetched_us: int) -> Endpoints:
    """The prices of a `/models/{author}/{slug}/endpoints` answer, valid from `fetched_us` on.

    ValueError when the answer names no model and endpoints.
    """
    try:
        data = msgspec.json.decode(body, type=_EndpointsAnswer).data
    except msgspec.DecodeError as error:
        raise ValueError(f"not an answer of /endpoints: {error}") from error
    prices: dict[tuple[str | None, ...], Price] = {}
    problems = []
    for number, raw in enumerate(data.endpoints, 1):
        try:
            entry = msgspec.json.decode(raw, type=_EndpointEntry)
            price = Price(
                model=data.id,
                provider=entry.provider_name,
                endpoint_tag=entry.tag,
                service_tier=entry.service_tier,
                valid_from_us=fetched_us,
                fetched_us=fetched_us,
                **_rates(entry.pricing),
            )
        except ValueError as error:
            problems.append(Problem(_name(raw, "tag", number), str(error)))
            continue
        key = (price.provider, price.endpoint_tag, price.service_tier)
        if prices.setdefault(key, price) != price:
            problems.append(Problem(entry.tag, "listed twice; the first entry was taken"))
    return Endpoints(model=data.id, prices=tuple(prices.values()), problems=tuple(problems))


class _Override(msgspec.Struct, forbid_unknown_fields=True):
    # An unknown member could be a condition; to pass over it would apply the rates too often.
    # Numbers are sent as 200000 or 200000.0, and Decimal reads both.
    min_prompt_tokens: Decimal | None = None
    utc_start: Decimal | None = None
    utc_end: Decimal | None = None
    utc_days: tuple[str, ...] | None = None
    prompt: Decimal | None = None
    completion: Decimal | None = None
    audio: Decimal | None = None
    input_audio_cache: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None


class _Pricing(msgspec.Struct):
    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    image_token: Decimal | None = None
    image_output: Decimal | None = None
    audio: Decimal | None = None
    audio_output: Decimal | None = None
    input_audio_cache: Decimal | None = None
    web_search: Decimal | None = None
    internal_reasoning: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None
    discount: Decimal | None = None
    overrides: tuple[_Override, ...] | None = None


class _AliasTarget(msgspec.Struct):
    slug: str


class _ModelEntry(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    pricing: _Pricing
    name: str | None = None
    canonical_slug: str | None = None
    alias_target: _AliasTarget | None = None
    context_length: int | None = None


class _EndpointEntry(msgspec.Struct):
    provider_name: str
    tag: str
    pricing: _Pricing
    service_tier: str | None = None


class _Links(msgspec.Struct):
    next: str | None = None


class _ModelsPage(msgspec.Struct):
    data: list[msgspec.Raw]
    total_count: int | None = None
    links: _Links | None = None


class _EndpointsData(msgspec.Struct):
    id: str
    endpoints: list[msgspec.Raw]


class _EndpointsAnswer(msgspec.Struct):
    data: _EndpointsData


def _model(entry: _ModelEntry, fetched_us: int) -> Model:
    alias_target = entry.alias_target.slug if entry.alias_target else None
    return Model(
        id=entry.id,
        name=entry.name,
        canonical_slug=entry.canonical_slug,
        alias_target=alias_target,
        context_length=entry.context_length,
        price=Price(
            model=entry.id,
            canonical_slug=entry.canonical_slug,
            alias_target=alias_target,
            valid_from_us=fetched_us,
            fetched_us=fetched_us,
            **_rates(entry.pricing),
        ),
    )


def _rates(pricing: _Pricing) -> dict[str, Any]:
    rates = msgspec.structs.asdict(pricing)
    discount = rates.pop("discount")
    overrides = rates.pop("overrides") or ()
    if discount is not None and not (_is_amount(discount) and discount <= 1):
        raise ValueError(f"discount {discount} is no fraction")
    return {
        **{name: _unit_price(name, rate) for name, rate in rates.items()},
        "discount": discount,
        "overrides": tuple(_override(override) for override in overrides),
    }


def _unit_price(name: str, rate: Decimal | None) -> Decimal | None:
    if rate is None or (rate.is_finite() and rate == _ROUTER_DECIDES):
        return None
    if not _is_amount(rate):
        raise ValueError(f"{name} {rate} is no price")
    return rate or Decimal(0)  # which may have been sent with thousands of digits


def _is_amount(number: Decimal) -> bool:
    """Finite, not negative, and of a size and fineness that can be worked with."""
    return number.is_finite() and (number == 0 or _FINEST <= number <= _MOST)


def _override(override: _Override) -> PriceOverride:
    rates = msgspec.structs.asdict(override)
    conditions: dict[str, Any] = {
        "min_prompt_tokens": _whole(rates.pop("min_prompt_tokens")),
        "utc_start": _clock(rates.pop("utc_start")),
        "utc_end": _clock(rates.pop("utc_end")),
        "utc_days": _days(rates.pop("utc_days")),
    }
    if (conditions["utc_start"] is None) != (conditions["utc_end"] is None):
        raise ValueError("an override has one end of its hours only")
    conditions.update((name, _unit_price(name, rate)) for name, rate in rates.items())
    return PriceOverride(**conditions)


def _whole(number: Decimal | None) -> int | None:
    if number is None:
        return None
    if not _is_amount(number) or number != int(number):
        raise ValueError(f"{number} is no whole number")
    return int(number)


def _clock(hhmm: Decimal | None) -> str | None:
    """A clock number (130) as four digits ("0130"); 2400 is the end of the day."""
    number = _whole(hhmm)
    if number is None:
        return None
    if number > 2400 or number % 100 >= 60:
        raise ValueError(f"{hhmm} is no time of day (HHMM)")
    return f"{number:04d}"


def _days(days: tuple[str, ...] | None) -> tuple[str, ...] | None:
    unknown = [day for day in days or () if day not in WEEKDAYS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no day of the week")
    return days


def _name(raw: msgspec.Raw, member: str, number: int) -> str:
    try:
        name = msgspec.json.decode(raw, type=dict[str, Any]).get(member)
    except ValueError:
        name = None
    return name if isinstance(name, str) and name else f"entry {number}"
