"""Which model of the listing the names in a request and an answer mean.

A model has several names: its id, variants that only choose a provider (`:nitro`), a dated
canonical slug that answers may carry, aliases that point to it. Calls are grouped by the id, so
that a failure, which names no answering model, and a success of one model fall together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.core.records import Price

ROUTING_VARIANTS = frozenset({"nitro", "floor", "exacto", "online"})
"""Variants that choose among a model's providers; the others (`:free`, `:batch`) are models."""

ROUTERS = frozenset(
    {
        "openrouter/auto",
        "openrouter/auto-beta",
        "openrouter/bodybuilder",
        "openrouter/free",
        "openrouter/fusion",
        "openrouter/pareto-code",
        "nvidia/switchyard",
        "typesafe/jev-router",
    }
)
"""Ids that choose a model for each request."""


def without_routing_variant(model: str) -> str:
    """The model without `:nitro`, `:floor`, `:exacto` and `:online`."""
    name, _, variant = model.rpartition(":")
    return without_routing_variant(name) if variant in ROUTING_VARIANTS else model


def names_others(path: str, parameters: str | None) -> bool:
    """Whether a request names a preset or fallback models; arguments as in `Call`."""
    if path.startswith("/presets/"):
        return True
    if parameters is None or ('"models"' not in parameters and '"preset"' not in parameters):
        return False
    named = msgspec.json.decode(parameters)
    return bool(named.get("models") or named.get("preset"))


class ModelNames:
    """The names of a listing's models, for looking up what a call's names mean."""

    def __init__(self, listed: Iterable[Price] = ()) -> None:
        """`listed`: the listing's own prices; of several rows of one model the last counts."""
        self._models = {price.model: price for price in listed}
        self._by_slug: dict[str, str] = {}
        for price in self._models.values():
            slug = price.canonical_slug
            # A variant (`:free`) shares the slug of its model, which goes before it.
            if slug is not None and (slug not in self._by_slug or ":" not in price.model):
                self._by_slug[slug] = price.model

    def resolve(
        self, request_model: str | None, response_model: str | None, *, others_named: bool = False
    ) -> str | None:
        """The listing's id of the model that answered, or that was to answer; None if unknown.

        `others_named`: the request leaves the choice to a preset or to fallbacks.
        """
        asked = without_routing_variant(request_model) if request_model else None
        listed = self._listed(asked) if asked else None
        certain = asked is not None and not (
            others_named
            or asked in ROUTERS
            or (asked.startswith("~") and listed is None)
            or "@preset/" in asked
        )
        if not response_model:
            return (listed or asked) if certain else None
        answered = self._listed(without_routing_variant(response_model))
        if answered is None:
            return (listed or asked) if certain else response_model
        if certain and listed is not None and self._leaves_variant_out(answered, listed):
            return listed
        return answered

    def _listed(self, name: str) -> str | None:
        """The id behind an id, an alias or a canonical slug."""
        price = self._models.get(name)
        if price is not None and price.alias_target not in (None, name):
            return self._listed_plain(price.alias_target)
        return self._listed_plain(name)

    def _listed_plain(self, name: str | None) -> str | None:
        if name is None or name in self._models:
            return name
        if name in self._by_slug:
            return self._by_slug[name]
        # the slug with a variant: `some/model-20260922:free`
        slug, _, variant = name.rpartition(":")
        model = self._by_slug.get(slug, "").partition(":")[0] + ":" + variant
        return model if model in self._models else None

    def _leaves_variant_out(self, answered: str, listed: str) -> bool:
        """Whether an answer calls by its plain name the variant that was asked for."""
        slug = self._models[answered].canonical_slug
        return (
            ":" not in answered and slug is not None and slug == self._models[listed].canonical_slug
        )
