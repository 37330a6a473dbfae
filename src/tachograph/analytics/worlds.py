"""What made-up calls are made of: models, their prices, and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Model:
    """A model that is called, and what its answers are like."""

    id: str
    providers: tuple[str, ...]
    prompt: int
    """Pico-dollars per token, as the other prices."""
    completion: int
    cache_read: int | None
    share: float
    """Of all calls, in proportion to the others."""
    tokens_per_second: float
    first_token_seconds: float
    output_tokens: int
    """The median; 0 for a model that embeds."""
    reasons: bool = False
    listed: bool = True
    """Has a price, so that its cost can be computed."""


@dataclass(frozen=True)
class World:
    """What is called, when, and what happens meanwhile."""

    models: Sequence[Model]
    since: datetime
    days: int
    cheaper: str
    """The model whose price falls."""
    cheaper_at: datetime
    cheaper_percent: int
    """Of the old price."""
    outage_of: str
    """The provider that fails for some hours."""
    outage_at: datetime
    outage_hours: int
    price_ids: Sequence[int | None]
    """Of the models' prices, in their order, and of the price that fell."""
