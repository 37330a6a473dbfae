"""configure_otel: what the environment says; programs end though their collector does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tachograph.errors import SettingsError
from tachograph.telemetry import setup
from tachograph.telemetry.exporters import metric_exporters, span_exporters

PROTOCOLS = ["http/protobuf", "grpc"]

PROGRAM = """
import logging, sys, time
logging.disable(logging.CRITICAL)
from opentelemetry import metrics, trace
from tachograph.telemetry.setup import configure_otel
provider = configure_otel()
assert configure_otel() is provider is trace.get_tracer_provider()
metrics.get_meter("app").create_counter("calls").add(1)
tracer = provider.get_tracer("app")
for _ in range(2000):
    tracer.start_span("work").end()
print(time.time())
"""


def run(program: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.fixture
def refusing() -> str:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def hanging() -> Iterator[str]:
    """Takes connections and never answers."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("collector", ["refusing", "hanging"])
def test_a_program_ends_though_its_collector_is_dead(
    request: pytest.FixtureRequest, collector: str, protocol: str
) -> None:
    """The SDK alone would hold it for 6 to 10 seconds; the bound here leaves room for a slow
    machine."""
    output = run(
        PROGRAM,
        OTEL_EXPORTER_OTLP_ENDPOINT=request.getfixturevalue(collector),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_METRICS_EXPORTER="otlp",
    )
    assert time.time() - float(output) < 5


def test_what_has_to_end_shares_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not measured: however many there are, they are waited for EXIT_SECONDS in all."""
    now = [100.0]

    class Stuck:
        def join(self, timeout: float) -> None:
            now[0] += timeout

        def is_alive(self) -> bool:
            return True

    monkeypatch.setattr("atexit.register", lambda _: None)
    ending = setup._Ending([], setup.EXIT_SECONDS)
    ending._threads = [Stuck() for _ in range(3)]  # type: ignore[misc]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    ending._end()
    assert now[0] == 100.0 + setup.EXIT_SECONDS
    assert setup.EXIT_SECONDS < 2


def test_a_forked_child_ends_too(hanging: str) -> None:
    output = run(
        PROGRAM.replace("print(", "import os; pid = os.fork()\nif not pid: print("),
        OTEL_EXPORTER_OTLP_ENDPOINT=hanging,
    )
    assert time.time() - float(output) < 5


def test_a_provider_that_the_app_has_set_stays() -> None:
    run(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from tachograph.telemetry.setup import configure_otel
provider = TracerProvider()
trace.set_tracer_provider(provider)
assert configure_otel() is provider
""",
        OTEL_EXPORTER_OTLP_PROTOCOL="carrier pigeon",
    )


def test_a_disabled_sdk_stays_disabled() -> None:
    run(
        """
import threading
from opentelemetry import trace
from tachograph.telemetry.setup import configure_otel
assert isinstance(configure_otel(), trace.ProxyTracerProvider)
assert threading.active_count() == 1
""",
        OTEL_SDK_DISABLED="true",
    )


def test_service_name_and_sampler_are_of_the_environment() -> None:
    run(
        """
from tachograph.telemetry.setup import configure_otel
provider = configure_otel()
assert provider.resource.attributes["service.name"] == "shop"
assert provider.resource.attributes["deployment.environment.name"] == "test"
assert not provider.get_tracer("app").start_span("work").is_recording()
""",
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_TRACES_EXPORTER="none",
    )


def test_an_instance_has_an_id_in_spans_only_where_it_was_named() -> None:
    """The SDK draws one for each process, so spans sent again by another would be others."""
    program = """
from tachograph.telemetry.setup import configure_otel
print(configure_otel().resource.attributes.get("service.instance.id"))
"""
    assert run(program, OTEL_TRACES_EXPORTER="none").strip() == "None"
    named = run(
        program,
        OTEL_TRACES_EXPORTER="none",
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=pod-1",
    )
    assert named.strip() == "pod-1"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def test_exporters_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    (spans,) = span_exporters()
    assert type(spans).__module__.startswith("opentelemetry.exporter.otlp.proto.http")
    assert metric_exporters() == []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console, otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    console, otlp = span_exporters()
    assert type(console).__name__ == "ConsoleSpanExporter"
    assert type(otlp).__module__.startswith("opentelemetry.exporter.otlp.proto.grpc")
    otlp.shutdown()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert span_exporters() == []
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    (metrics,) = metric_exporters()
    assert type(metrics).__name__ == "ConsoleMetricExporter"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "pigeon", "'pigeon'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "pigeon", "http/protobuf or grpc"),
    ],
)
def test_what_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        span_exporters()
