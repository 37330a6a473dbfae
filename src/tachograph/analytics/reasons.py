"""Why a computed cost is not what was billed: by rule, the first that holds.

Facts of the call come first (a tool of OpenRouter's ran, the user's own key, ...). Then prices are
tried: a reason is given only where its price makes the bill to the digit; otherwise the difference
stays unexplained.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec.structs import replace

from tachograph.core.pricing import compute, with_rates
from tachograph.core.records import Price, Usage
from tachograph.store.prices import tier_of, valid_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Reason = Literal[
    "restated",
    "cache_hit",
    "server_tool",
    "byok",
    "free",
    "insured",
    "unbilled",
    "tier",
    "override",
    "discount",
    "endpoint_spread",
    "price_changed",
    "unpriced",
    "unexplained",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order in which they are tried.

restated: `/generation` told another bill than the answer. cache_hit: OpenRouter's own cache
answered. server_tool: a tool or plugin ran whose work no token count tells. byok: the user's own
provider key. free: a `:free` variant. insured: an empty or failed answer that is not charged.
unbilled: the answer told no cost. tier, override, discount, endpoint_spread, price_changed: another
price than the one used makes the bill. unpriced: no price was known, or a count was missing.
unexplained: none of these.
"""

DATA_POLICY_DISCOUNT = Decimal("0.01")
"""Off all model usage of accounts that let OpenRouter use their data."""

PAGE_USD = Decimal("0.002")
"""For a page whose text was recognised, which no count tells, nor any word of the request."""

_CHARGED_PLUGINS = frozenset({"web", "web-fetch", "file-parser", "fusion"})


class AuditedCall(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at of one call."""

    usage: Usage
    started_us: int
    expected_usd: Decimal | None
    """What the bill says that the tokens cost; None where there is none."""
    computed_usd: Decimal | None
    price_id: int | None
    request_model: str | None
    response_model: str | None
    provider: str | None
    finish_reason: str | None
    cache_status: str | None
    parameters: str | None
    generation_usd: Decimal | None = None
    """What `/generation` said that was charged; None where it was not asked."""


def find_reason(call: AuditedCall, prices: Sequence[Price], tolerance: Decimal) -> Reason:
    """Why `computed_usd` is not `expected_usd`; `prices` are all rows of the call's model."""
    billed, restated = call.usage.billed_usd, call.generation_usd
    if billed is not None and restated is not None and abs(billed - restated) > tolerance:
        return "restated"
    if call.cache_status == "HIT":
        return "cache_hit"
    if _tool_ran(call, tolerance):
        return "server_tool"
    if call.usage.is_byok:
        return "byok"
    expected, computed = call.expected_usd, call.computed_usd
    if expected is None:
        return "unbilled"
    if expected == 0 and _is_free(call):
        return "free"
    if _is_insured(call) and (expected == 0 if computed is None else expected < computed):
        return "insured"
    for reason, price in _alternatives(call, prices):
        cost = compute(call.usage, price, call.started_us)
        if cost is not None and abs(cost - expected) <= tolerance:
            return reason
    if computed is None:
        return "unpriced"
    if _is_near_multiple(expected - computed, PAGE_USD, tolerance):
        return "server_tool"
    return "unexplained"


def _tool_ran(call: AuditedCall, tolerance: Decimal) -> bool:
    usage = call.usage
    if (
        usage.billed_usd is not None
        and usage.upstream_usd
        and not usage.is_byok
        and usage.billed_usd - usage.upstream_usd > tolerance
    ):
        return True  # more was charged than the provider asked
    extra = _object(usage.usage_extra)
    tools = _member(extra, "server_tool_use_details") or _member(extra, "server_tool_use")
    if tools.get("tool_calls_executed") or _member(extra, "cost_details").get("server_tool_cost"):
        return True
    expected, computed = call.expected_usd, call.computed_usd
    if expected is not None and computed is not None and expected < computed:
        return False  # tools are charged for, they do not make a call cheaper
    plugins = _object(call.parameters).get("plugins")
    return bool(usage.web_searches) or (
        isinstance(plugins, list) and any(plugin in _CHARGED_PLUGINS for plugin in plugins)
    )


def _is_near_multiple(difference: Decimal, unit: Decimal, tolerance: Decimal) -> bool:
    number = round(difference / unit)
    return number >= 1 and abs(difference - number * unit) <= tolerance


def _is_free(call: AuditedCall) -> bool:
    return any(name and ":free" in name for name in (call.request_model, call.response_model))


def _is_insured(call: AuditedCall) -> bool:
    """Not charged: no completion and no word of its end, or an end in error."""
    if call.finish_reason == "error":
        return True
    return not call.usage.output_tokens and not call.finish_reason


def _alternatives(call: AuditedCall, prices: Sequence[Price]) -> Iterator[tuple[Reason, Price]]:
    """Other prices that the call may have been billed at, the likeliest first."""
    used = next((price for price in prices if price.id == call.price_id), None)
    valid = [price for price in prices if valid_at(price, call.started_us) and price is not used]
    valid.sort(key=lambda price: price.provider != call.provider)
    tier = tier_of(used.service_tier) if used else None
    for price in valid:
        if price.provider is not None and tier_of(price.service_tier) != tier:
            yield "tier", price
    if used is not None:
        yield "override", replace(used, overrides=())
        for override in used.overrides:
            yield "override", with_rates(used, override)
        yield "discount", replace(used, discount=None)
        yield "discount", replace(used, discount=_with_data_policy(used))
    for price in valid:
        yield "endpoint_spread", price
    for price in prices:
        if price is not used and price not in valid:
            yield "price_changed", price


def _with_data_policy(price: Price) -> Decimal:
    return 1 - (1 - (price.discount or 0)) * (1 - DATA_POLICY_DISCOUNT)


def _object(text: str | None) -> dict[str, Any]:
    found = msgspec.json.decode(text) if text else None
    return found if isinstance(found, dict) else {}


def _member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}
