"""Metrics of calls by the GenAI conventions, and of their cost.

Recorded on the writer's thread, from the same records as spans and rows. Each measurement of a
call is made in the context of its span, so exemplars lead to the trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tachograph.telemetry import semconv as names
from tachograph.telemetry.attributes import Attributes, error_type, start_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Histogram, MeterProvider

    from tachograph.core.records import Call, Cost, Usage

# These are calls of a model, but the conventions count no tokens or chunks of them.
_NO_INFERENCE = frozenset({"embeddings", "rerank", "batch"})


def has_meters() -> bool:
    """Whether the app has set a meter provider."""
    # the API's stand-in, for which it has no public name
    return type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"


class Metrics:
    """The instruments, of the given meter provider or of the app's, whenever that is set."""

    def __init__(
        self,
        meter_provider: MeterProvider | None = None,
        dialect: names.DialectName = "main",
    ) -> None:
        self._given = meter_provider
        self._meter = metrics.get_meter(names.SCOPE, names.scope_version(), meter_provider)
        d = names.DIALECTS[dialect]
        self._operation_duration = self._seconds(
            names.OPERATION_DURATION, "Duration of a GenAI operation."
        )
        self._duration = (
            self._operation_duration
            if d.duration == names.OPERATION_DURATION
            else self._seconds(d.duration, "Duration of an inference.")
        )
        self._first_chunk = self._seconds(
            d.time_to_first_chunk, "From the request to the first token of a stream."
        )
        self._per_chunk = self._seconds(
            d.time_per_output_chunk, "Mean time between two chunks of one stream."
        )
        self._token_usage = None if d.token_usage is None else self._tokens(d.token_usage)
        self._inference_tokens = [self._tokens(name) for name in d.inference_tokens or ()]
        self._inference_usage = [
            self._meter.create_counter(name, "{token}", "Tokens used.")
            for name in d.inference_usage or ()
        ]
        self._calls = self._meter.create_counter(
            names.METRIC_CALLS, "{call}", "Calls that ended, by outcome and source of their cost."
        )
        self._cost = self._meter.create_counter(
            names.METRIC_COST, "{USD}", "What calls cost their user, where it is known."
        )

    def record(
        self, call: Call, usage: Usage | None, cost: Cost, sampled: bool | None = None
    ) -> None:
        """Counts a call that has ended; `sampled` is what its span said.

        Calls that infer nothing (a look at the catalogue) are not counted.
        """
        if call.operation_name is None or not (self._given or has_meters()):
            return
        attributes = start_attributes(call)
        for name, value in (
            (names.GEN_AI_RESPONSE_MODEL, call.response_model),
            (names.OPENROUTER_PROVIDER, call.provider),
        ):
            if value is not None:
                attributes[name] = value
        context = _context_of(call, sampled)
        error = error_type(call)
        with_error = attributes if error is None else {**attributes, names.ERROR_TYPE: error}
        inference = call.operation_name not in _NO_INFERENCE
        if call.latency_seconds is not None:
            duration = self._duration if inference else self._operation_duration
            duration.record(call.latency_seconds, with_error, context)
        if inference:
            self._record_stream(call, attributes, context)
            self._record_tokens(usage, attributes, with_error, context)
        self._calls.add(
            1,
            {
                **with_error,
                names.OPENROUTER_OUTCOME: call.outcome,
                names.OPENROUTER_COST_SOURCE: cost.cost_source,
            },
            context,
        )
        if cost.spent_usd is not None:
            self._cost.add(
                float(cost.spent_usd),
                {**attributes, names.OPENROUTER_COST_SOURCE: cost.cost_source},
                context,
            )

    def _record_stream(self, call: Call, attributes: Attributes, context: Context | None) -> None:
        first = call.first_token_seconds
        if not call.stream or first is None:
            return
        self._first_chunk.record(first, attributes, context)
        # One value a stream: chunks are not timed one by one on the caller's path.
        if call.chunks is not None and call.chunks > 1 and call.latency_seconds is not None:
            per_chunk = max(call.latency_seconds - first, 0.0) / (call.chunks - 1)
            self._per_chunk.record(per_chunk, attributes, context)

    def _record_tokens(
        self,
        usage: Usage | None,
        attributes: Attributes,
        with_error: Attributes,
        context: Context | None,
    ) -> None:
        used = (
            usage.input_tokens if usage else None,
            usage.output_tokens if usage else None,
        )
        if self._token_usage is not None:
            for kind, count in zip(("input", "output"), used, strict=True):
                if count is not None:
                    self._token_usage.record(
                        count, {**attributes, names.GEN_AI_TOKEN_TYPE: kind}, context
                    )
        # of the main dialect, where calls without usage count as 0 tokens
        for histogram, count in zip(self._inference_tokens, used, strict=False):
            histogram.record(count or 0, with_error, context)
        if self._inference_usage:
            for counter, parts in zip(self._inference_usage, _by_modality(usage), strict=True):
                _add(counter, parts, attributes, context)

    def _seconds(self, name: str, description: str) -> Histogram:
        return self._meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS
        )

    def _tokens(self, name: str) -> Histogram:
        return self._meter.create_histogram(
            name,
            "{token}",
            "Tokens used by one call.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS,
        )


def _add(
    counter: Counter, parts: Mapping[str, int], attributes: Attributes, context: Context | None
) -> None:
    for modality, count in parts.items():
        counter.add(count, {**attributes, names.GEN_AI_TOKEN_MODALITY: modality}, context)


def _by_modality(usage: Usage | None) -> tuple[dict[str, int], ...]:
    """Of input, output, cache read, cache write and reasoning: tokens by modality.

    OpenRouter tells audio apart, and images of the output; what is left of the input may be text
    or images. No usage is 0 of an unknown modality, as the conventions want it.
    """
    if usage is None:
        return ({"unknown": 0},) * 5
    return (
        _split(usage.input_tokens, "unknown", audio=usage.audio_input_tokens),
        _split(
            usage.output_tokens,
            "text",
            audio=usage.audio_output_tokens,
            image=usage.image_output_tokens,
        ),
        _split(usage.cache_read_input_tokens, "unknown"),
        _split(usage.cache_write_input_tokens, "unknown"),
        _split(usage.reasoning_output_tokens, "text"),
    )


def _split(total: int | None, rest: str, **known: int | None) -> dict[str, int]:
    if total is None:
        return {"unknown": 0}
    parts = {modality: count for modality, count in known.items() if count}
    return {**parts, rest: max(total - sum(parts.values()), 0)}


def _context_of(call: Call, sampled: bool | None) -> Context | None:
    """The context of the call's span, which has ended by now."""
    if not sampled or call.trace_id is None or call.span_id is None:
        return None
    span = SpanContext(
        int.from_bytes(call.trace_id),
        int.from_bytes(call.span_id),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(span), Context())
