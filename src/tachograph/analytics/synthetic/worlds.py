"""What made-up calls are made of: models, their prices, failures, and what happens meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
class Failure:
    """A way in which calls fail."""

    status: int | None
    error_type: str
    retryable: bool
    share: float
    """Of all failures, in proportion to the others."""
    seconds: float
    """The median of how long it took."""
    answers: bool = False
    """A part of the answer came before it, and is billed."""


@dataclass(frozen=True)
class World:
    """What is called, when, and what happens meanwhile."""

    models: Sequence[Model]
    failures: Sequence[Failure]
    pace: Mapping[str, float]
    """How much quicker than others a provider serves the same model; those not named: 1."""
    rush: Sequence[float]
    """How much longer everything takes in each hour of the day (UTC)."""
    since: datetime
    days: int
    cheaper: str
    """The model whose price falls."""
    cheaper_at: datetime
    cheaper_percent: int
    """Of the old price."""
    noticed_at: datetime
    """From here on the new price is known; until then costs are computed with the old one."""
    outage_of: str
    """The provider that fails for some hours."""
    outage_at: datetime
    outage_hours: int
    search: int
    """Pico-dollars for a web search, of which no token count tells."""
    price_ids: Sequence[int | None]
    """Of the models' prices, in their order, and of the price that fell."""
