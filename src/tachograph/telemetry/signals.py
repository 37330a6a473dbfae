"""The spans and the metrics of calls that have ended, as the writer's thread makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tachograph.core.records import Call, Cost, Usage
    from tachograph.telemetry.metrics import Metrics
    from tachograph.telemetry.spans import Spans


class Signals:
    """One span and one reading of each metric a call."""

    def __init__(self, spans: Spans, metrics: Metrics | None = None) -> None:
        self._spans = spans
        self._metrics = metrics

    def make(self, call: Call, usage: Usage | None, cost: Cost) -> bool | None:
        """Whether the span was sampled; None without a tracer."""
        sampled = self._spans.make(call, usage, cost, call.resend_of_span)
        if self._metrics is not None:
            self._metrics.record(call, usage, cost, sampled)
        return sampled
