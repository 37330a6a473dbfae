"""Our tracer, from the provider that was given or that the app has set by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, ProxyTracerProvider

from tachograph.telemetry import semconv
from tachograph.telemetry.app import App, app_of
from tachograph.telemetry.span_ids import FixedIds, fixed_ids

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider


_SET = "_TRACER_PROVIDER"
"""Where the API keeps the provider that the app has set; None: none so far."""


class Bound(NamedTuple):
    """A provider, and what it gave us."""

    provider: TracerProvider
    tracer: Tracer | None
    """None where the provider makes no spans."""
    ids: FixedIds | None
    """None where the ids of its spans cannot be fixed."""
    app: App


class Tracing:
    """The provider is looked up at each call, since an app may set it late; the rest is kept."""

    def __init__(self, given: TracerProvider | None) -> None:
        self._given = given
        self._bound: Bound | None = None
        self._unset: Bound | None = None

    def now(self) -> Bound:
        bound = self._bound
        if bound is not None and bound is self._unset and getattr(trace, _SET, self) is None:
            return bound  # until one is set, the API reads the environment at each call
        provider = self._given or trace.get_tracer_provider()
        if bound is None or bound.provider is not provider:
            # two threads may do this at once: they find the same
            self._bound = bound = _bind(provider)
            # the API's stand-in for a provider that nobody has set yet
            self._unset = bound if isinstance(provider, ProxyTracerProvider) else None
        return bound


def _bind(provider: TracerProvider) -> Bound:
    if isinstance(provider, ProxyTracerProvider):
        return Bound(provider, None, None, App())
    tracer = provider.get_tracer(semconv.SCOPE, semconv.scope_version())
    if isinstance(tracer, NoOpTracer):
        return Bound(provider, None, None, app_of(provider))
    return Bound(provider, tracer, fixed_ids(tracer), app_of(provider))
