"""What a backend of metrics gets, from a real SDK, checked against the conventions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    Metric,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData

from tachograph.core.records import Call, Cost, Usage
from tachograph.telemetry import semconv
from tachograph.telemetry.metrics import Metrics
from tests.telemetry import registries

if TYPE_CHECKING:
    from tests.telemetry.conftest import Sdk


class Meters(NamedTuple):
    provider: MeterProvider
    reader: InMemoryMetricReader

    def collect(self) -> dict[str, Metric]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[Any]:
        return list(self.collect()[name].data.data_points)


@pytest.fixture
def meters() -> Iterator[Meters]:
    reader = InMemoryMetricReader({Histogram: AggregationTemporality.CUMULATIVE})
    provider = MeterProvider(
        [reader], shutdown_on_exit=False, exemplar_filter=TraceBasedExemplarFilter()
    )
    yield Meters(provider, reader)
    provider.shutdown()


@pytest.mark.parametrize("dialect", ["main", "1.42"])
def test_metrics_keep_to_the_conventions(
    meters: Meters,
    call_with: Callable[..., Call],
    usage: Usage,
    cost: Cost,
    dialect: semconv.DialectName,
) -> None:
    registry = registries.main() if dialect == "main" else registries.v1_42()
    Metrics(meters.provider, dialect).record(call_with(), usage, cost)
    collected = meters.collect()
    known = {name: metric for name, metric in collected.items() if name.startswith("gen_ai.")}
    expected = {name for name in registry.metrics if name.startswith("gen_ai.client.")}
    assert known.keys() == expected
    for name, metric in known.items():
        said = registry.metrics[name]
        assert metric.unit == said.unit
        points: list[Any] = list(metric.data.data_points)
        for point in points:
            assert said.required <= point.attributes.keys()
            faults = registry.wrong(dict(point.attributes), said.required)
            assert faults == []
            assert point.attributes.get("gen_ai.token.type", "input") in ("input", "output")
            if said.instrument == "counter":
                assert isinstance(metric.data, Sum)
                assert metric.data.is_monotonic
                assert isinstance(point.value, int)
            if said.instrument == "histogram":
                assert isinstance(metric.data, HistogramData)
                buckets = said.buckets or (
                    semconv.DURATION_BUCKETS if said.unit == "s" else semconv.TOKEN_BUCKETS
                )
                assert point.explicit_bounds == pytest.approx(buckets)
    ours = collected.keys() - known.keys()
    assert ours == {"openrouter.client.calls", "openrouter.client.cost"}


def test_the_duration_is_that_of_the_span_and_names_the_failure(
    meters: Meters, call_with: Callable[..., Call]
) -> None:
    call = call_with(outcome="failed", http_status=429, error_type="rate_limited")
    Metrics(meters.provider).record(call, None, Cost())
    (point,) = meters.points("gen_ai.client.inference.duration")
    assert point.sum == 1.5
    assert point.attributes["error.type"] == "rate_limited"
    assert point.attributes["openrouter.provider"] == "Amazon Bedrock"
    (calls,) = meters.points("openrouter.client.calls")
    assert calls.attributes["openrouter.outcome"] == "failed"
    assert calls.attributes["openrouter.cost_source"] == "unknown"
    assert "openrouter.client.cost" not in meters.collect()


def test_tokens_by_modality_add_up(
    meters: Meters, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    Metrics(meters.provider).record(call_with(), usage, cost)

    def parts(name: str) -> dict[str, int]:
        points = meters.points(f"gen_ai.client.inference.usage.{name}")
        return {point.attributes["gen_ai.token.modality"]: point.value for point in points}

    assert parts("input_tokens") == {"audio": 3, "unknown": 997}
    assert parts("output_tokens") == {"audio": 4, "image": 5, "text": 191}
    assert parts("reasoning.output_tokens") == {"text": 50}


def test_a_call_without_usage_counts_as_no_tokens(
    meters: Meters, call_with: Callable[..., Call]
) -> None:
    Metrics(meters.provider).record(call_with(), None, Cost())
    (point,) = meters.points("gen_ai.client.inference.usage.input_tokens")
    assert point.value == 0
    assert point.attributes["gen_ai.token.modality"] == "unknown"


def test_cost_adds_up_by_its_source(
    meters: Meters, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    recorded = Metrics(meters.provider)
    for _ in range(3):
        recorded.record(call_with(), usage, cost)
    (point,) = meters.points("openrouter.client.cost")
    assert point.value == pytest.approx(0.0153)
    assert point.attributes["openrouter.cost_source"] == "billed"


def test_streams_alone_have_chunks(meters: Meters, call_with: Callable[..., Call]) -> None:
    recorded = Metrics(meters.provider)
    recorded.record(call_with(stream=False), None, Cost())
    assert "gen_ai.client.inference.time_to_first_chunk" not in meters.collect()
    recorded.record(call_with(), None, Cost())
    (first,) = meters.points("gen_ai.client.inference.time_to_first_chunk")
    (each,) = meters.points("gen_ai.client.inference.time_per_output_chunk")
    assert (first.sum, each.sum) == (0.5, 0.1)


def test_embeddings_are_operations_and_no_inference(
    meters: Meters, call_with: Callable[..., Call], usage: Usage, cost: Cost
) -> None:
    Metrics(meters.provider).record(call_with(operation_name="embeddings"), usage, cost)
    names = {name for name in meters.collect() if name.startswith("gen_ai.")}
    assert names == {"gen_ai.client.operation.duration"}


def test_what_infers_nothing_is_not_counted(meters: Meters, call_with: Callable[..., Call]) -> None:
    call = call_with(operation_name=None, path="/models")
    Metrics(meters.provider).record(call, None, Cost())
    assert meters.collect() == {}


def test_a_meter_provider_that_the_app_sets_later_is_found() -> None:
    program = """
import runpy, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tachograph.core.records import Cost
from tachograph.telemetry.metrics import Metrics, has_meters
call = runpy.run_path(sys.argv[1])["COMPLETED"]
recorded = Metrics()
assert not has_meters()
recorded.record(call, None, Cost())
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
assert has_meters()
recorded.record(call, None, Cost())
(resource,) = reader.get_metrics_data().resource_metrics
(scope,) = resource.scope_metrics
points = {m.name: m.data.data_points for m in scope.metrics}
assert points["openrouter.client.calls"][0].value == 1
"""
    conftest = Path(__file__).with_name("conftest.py")
    subprocess.run([sys.executable, "-c", program, str(conftest)], check=True, timeout=60)


def test_exemplars_lead_to_the_span(
    meters: Meters, call_with: Callable[..., Call], sdk: Sdk
) -> None:
    from tachograph.telemetry.spans import Spans

    spans = Spans(sdk.provider)
    call = call_with(spans.begin())
    Metrics(meters.provider).record(call, None, Cost(), spans.make(call, None, Cost()))
    (point,) = meters.points("gen_ai.client.inference.duration")
    (exemplar,) = point.exemplars
    context = sdk.span().context
    assert context is not None
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
