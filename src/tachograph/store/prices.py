"""What calls cost, by the price that was valid when each began.

`prices` holds a series for each model's own price in the listing and for each provider endpoint
that was read; its rows follow one another in time (`store/price_history.py` writes them).
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import sqlalchemy as sa

from tachograph.core.pricing import compute, settle
from tachograph.core.records import Cost, Price, PriceOverride, Usage
from tachograph.openrouter.models import ModelNames, names_others
from tachograph.store.column_types import Instant
from tachograph.store.schema import UNIT_PRICES, prices

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_FREE = Decimal(0)
_MOST_NAMES = 10_000
_DEFAULT_TIERS = (None, "default", "standard", "auto")


class PricedCall(Protocol):
    """What must be known of a call to price it: a `Call`, or a row of `calls`."""

    @property
    def path(self) -> str: ...
    @property
    def request_model(self) -> str | None: ...
    @property
    def parameters(self) -> str | None: ...
    @property
    def started_us(self) -> int: ...
    @property
    def response_model(self) -> str | None: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def service_tier(self) -> str | None: ...
    @property
    def cache_status(self) -> str | None: ...


class PriceBook:
    """Prices calls from the history in the database, which is held in memory.

    `refresh` takes up what has changed there; call it once a batch. For one thread.
    """

    def __init__(self, engine: Engine, *, check_seconds: float = 1.0) -> None:
        """Opens no connection before `refresh`, or the first cost.

        `check_seconds`: how old what is in memory may be when `refresh` is called.
        """
        self.engine = engine
        self._check_seconds = check_seconds
        self._checked = float("-inf")
        self._state: tuple[Any, ...] | None = None
        self._series: dict[str, list[Price]] = {}
        self._names = ModelNames()
        self._timelines: dict[tuple[Any, ...], _Timeline] = {}

    def refresh(self) -> None:
        """Loads the prices again if they have changed."""
        if time.monotonic() - self._checked < self._check_seconds:
            return
        with self.engine.connect() as connection:
            state = tuple(connection.execute(_STATE).one())
            if state != self._state:
                self._load(read_prices(connection))
                self._state = state
        self._checked = time.monotonic()

    def cost(self, call: PricedCall, usage: Usage | None) -> Cost:
        """The cost of a call, by the price valid when it started.

        That is the price of the endpoint that served it, where provider and tier tell which one;
        else the listing's.
        """
        if self._state is None:
            self.refresh()
        others_named = names_others(call.path, call.parameters)
        key = (
            call.response_model,
            call.request_model,
            call.provider,
            call.service_tier,
            others_named,
        )
        timeline = self._timelines.get(key)
        if timeline is None:
            timeline = self._timeline(call, others_named=others_named)
            if len(self._timelines) >= _MOST_NAMES:
                self._timelines.clear()
            self._timelines[key] = timeline
        if call.cache_status == "HIT":  # OpenRouter's own cache answered, which is free
            return settle(usage, _FREE, model=timeline.model)
        price = timeline.at(call.started_us)
        if price is None or usage is None:
            return settle(usage, None, model=timeline.model)
        computed = compute(usage, price, call.started_us)
        return settle(usage, computed, model=timeline.model, price_id=price.id)

    def _load(self, rows: list[Price]) -> None:
        series = defaultdict(list)
        for price in rows:
            series[price.model].append(price)
        self._series = series
        self._names = ModelNames(price for price in rows if price.provider is None)
        self._timelines = {}

    def _timeline(self, call: PricedCall, *, others_named: bool) -> _Timeline:
        model = self._names.resolve(
            call.request_model, call.response_model, others_named=others_named
        )
        tier = tier_of(call.service_tier)
        rows = [
            price
            for price in self._series.get(model or "", ())
            if price.provider is None
            or (
                tier_of(price.service_tier) == tier
                and (price.provider == call.provider or (call.provider is None and tier))
            )
        ]
        return _Timeline(model, rows)


class _Timeline:
    """Which price holds when, for calls of one model at one provider and tier."""

    def __init__(self, model: str | None, rows: list[Price]) -> None:
        self.model = model
        edges = {price.valid_from_us for price in rows}
        edges.update(price.valid_until_us for price in rows if price.valid_until_us is not None)
        self._edges = sorted(edges)
        self._prices = [_pick([p for p in rows if valid_at(p, edge)]) for edge in self._edges]

    def at(self, instant_us: int) -> Price | None:
        index = bisect_right(self._edges, instant_us)
        return self._prices[index - 1] if index else None


def _pick(valid: list[Price]) -> Price | None:
    """The endpoint's price if the endpoints agree on one, else the listing's."""
    served = [price for price in valid if price.provider is not None]
    if served and all(same_rates(price, served[0]) for price in served):
        return served[0]
    return next((price for price in valid if price.provider is None), None)


def tier_of(word: str | None) -> str | None:
    """The tier in the endpoints' words: None is the default one."""
    if word in _DEFAULT_TIERS:
        return None
    return "priority" if word == "fast" else word


def valid_at(price: Price, instant_us: int) -> bool:
    """Whether the instant lies in [valid_from, valid_until)."""
    return price.valid_from_us <= instant_us and (
        price.valid_until_us is None or instant_us < price.valid_until_us
    )


def same_rates(one: Price, other: Price) -> bool:
    """Whether two prices make every call cost the same."""
    return (
        all(getattr(one, name) == getattr(other, name) for name in UNIT_PRICES)
        and (one.discount or 0) == (other.discount or 0)
        and one.overrides == other.overrides
    )


def read_prices(connection: Connection, model: str | None = None) -> list[Price]:
    """All rows of `prices` (of one model) in the order in which they began to be valid."""
    query = _ROWS if model is None else _ROWS.where(prices.c.model == model)
    return [_price(row._mapping) for row in connection.execute(query)]


_ROWS = sa.select(
    *(
        sa.type_coerce(column, sa.BigInteger).label(column.name)
        if isinstance(column.type, Instant)
        else column
        for column in prices.c
    )
).order_by(prices.c.valid_from_us, prices.c.id)

# A row is only ever added, or closed once: together these change with every change.
_STATE = sa.select(
    sa.func.max(prices.c.id), sa.func.count(), sa.func.count(prices.c.valid_until_us)
).select_from(prices)

_overrides = msgspec.json.Decoder(tuple[PriceOverride, ...]).decode


def _price(row: Any) -> Price:
    fields = dict(row)
    fields["overrides"] = _overrides(fields["overrides"]) if fields["overrides"] else ()
    return Price(**fields)
