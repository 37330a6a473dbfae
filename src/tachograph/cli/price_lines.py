"""How prices look: as lines of what changed, and as the table of a history."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tachograph.cli.values import digits
from tachograph.core.units import from_microseconds
from tachograph.store.schema import UNIT_PRICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tachograph.core.records import Price, PriceOverride

_MILLION = Decimal(1_000_000)
_NOT_TOKENS = ("request", "image", "web_search")
"""Rates that people read as they are; the others for a million tokens."""


def label(price: Price) -> str:
    """The model, and the endpoint if it is the price of one."""
    return price.model if price.endpoint_tag is None else f"{price.model} at {price.endpoint_tag}"


def difference(was: Price, now: Price) -> str:
    """What changed from one price to another."""
    parts = [
        f"{name} {_rate(name, getattr(was, name))} -> {_rate(name, getattr(now, name))}"
        for name in UNIT_PRICES
        if getattr(was, name) != getattr(now, name)
    ]
    if (was.discount or 0) != (now.discount or 0):
        parts.append(f"discount {digits(was.discount or Decimal(0))} -> {now.discount or 0}")
    if was.overrides != now.overrides:
        parts.append(f"{len(was.overrides)} -> {len(now.overrides)} overrides")
    if was.canonical_slug != now.canonical_slug:
        parts.append(f"now {now.canonical_slug}")
    if was.alias_target != now.alias_target:
        parts.append(f"now stands for {now.alias_target}")
    return ", ".join(parts)


def _rate(name: str, usd: Decimal | None) -> str:
    if usd is None:
        return "unknown"
    return digits(usd) if name in _NOT_TOKENS else f"{digits(usd * _MILLION)}/M"


class HistoryFrame:
    """The rows of a model's history, those of one endpoint together, as `output.show` takes them.

    `per_million`: rates of tokens as people read them, for a million.
    """

    def __init__(self, rows: Sequence[Price], *, per_million: bool) -> None:
        self._rows = sorted(rows, key=lambda row: (row.provider or "", row.endpoint_tag or ""))
        self._per_million = per_million
        self.columns = [
            "model",
            "provider",
            "endpoint_tag",
            "service_tier",
            "valid_from_at",
            "valid_until_at",
            *(f"{name}_usd" for name in UNIT_PRICES),
            "discount",
            "overrides",
            "source",
            "fetched_at",
        ]

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            yield (
                row.model,
                row.provider,
                row.endpoint_tag,
                row.service_tier,
                _instant(row.valid_from_us),
                _instant(row.valid_until_us),
                *(self._shown(name, getattr(row, name)) for name in UNIT_PRICES),
                row.discount,
                self._overrides(row.overrides),
                row.source,
                _instant(row.fetched_us),
            )

    def headings(self) -> dict[str, str]:
        """The columns of the table: those in which something stands."""
        names = {
            "endpoint_tag": "endpoint",
            "service_tier": "tier",
            "valid_from_at": "from (UTC)",
            "valid_until_at": "until",
            **{f"{name}_usd": name for name in UNIT_PRICES},
            "overrides": "overrides",
        }
        filled = {
            name
            for row in self.iter_rows()
            for name, value in zip(self.columns, row, strict=True)
            if value is not None
        }
        always = ("valid_from_at", "valid_until_at")
        return {name: text for name, text in names.items() if name in filled or name in always}

    def _overrides(self, overrides: Sequence[PriceOverride]) -> str | None:
        if not overrides:
            return None
        if self._per_million:
            return "\n".join(map(_words, overrides))
        return msgspec.json.encode(overrides).decode()

    def _shown(self, name: str, usd: Decimal | None) -> Decimal | None:
        if usd is None or not self._per_million or name in _NOT_TOKENS:
            return usd
        return usd * _MILLION


def _words(override: PriceOverride) -> str:
    """An override as people read it: `over 200,000 tokens: prompt 6/M`."""
    fields = msgspec.structs.asdict(override)
    longer, days = fields.pop("min_prompt_tokens"), fields.pop("utc_days")
    start, end = fields.pop("utc_start"), fields.pop("utc_end")
    conditions = [
        *([f"over {longer:,} tokens"] if longer is not None else ()),
        *([f"{start} to {end} UTC"] if start is not None else ()),
        *([", ".join(days)] if days is not None else ()),
    ]
    rates = [f"{name} {_rate(name, usd)}" for name, usd in fields.items() if usd is not None]
    return f"{' and '.join(conditions) or 'always'}: {', '.join(rates)}"


def _instant(us: int | None) -> datetime | None:
    return None if us is None else from_microseconds(us)
