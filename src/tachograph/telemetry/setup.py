"""OpenTelemetry for an app that has set up none: providers and exporters as `OTEL_*` say.

Exporting is done by threads of the SDK, so no call waits for a collector. A program that ends
does: the SDK alone would hold it for 6 to 10 seconds where the collector is gone.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tachograph.telemetry.exporters import metric_exporters, span_exporters
from tachograph.telemetry.metrics import has_meters
from tachograph.telemetry.resource import app_resource

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tachograph")

EXIT_SECONDS = 1.0
"""How long spans and metrics may hold up the end of the program. What is not out by then is in
SQL all the same, and `tachograph export spans` sends it."""

QUEUE = 16_384
"""Spans that wait for the exporter, unless OTEL_BSP_MAX_QUEUE_SIZE says another number: a journal
taken over from a dead process comes all at once, and the SDK drops what is over."""

_configuring = threading.Lock()


def configure_otel(*, exit_seconds: float = EXIT_SECONDS) -> trace.TracerProvider:
    """The global tracer provider, made as the environment says where there is none yet.

    Reads `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_EXPORTER`,
    `OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_SDK_DISABLED`, as the SDK
    does, and sets a meter provider too where metrics are asked for. Providers that are there stay
    as they are. May be called again. Raises SettingsError for an exporter that is not installed.
    """
    with _configuring:
        ending: list[Callable[[], Any]] = []
        if _disabled():
            return trace.get_tracer_provider()
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            provider = _tracer_provider()
            trace.set_tracer_provider(provider)
            ending.append(provider.shutdown)
        if not has_meters():
            exporters = metric_exporters()
            if exporters:
                readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters]
                meters = MeterProvider(readers, shutdown_on_exit=False)
                metrics.set_meter_provider(meters)
                ending.append(meters.shutdown)
        if ending:
            _Ending(ending, exit_seconds)
        return trace.get_tracer_provider()


def _tracer_provider() -> TracerProvider:
    provider = TracerProvider(resource=app_resource(), shutdown_on_exit=False)
    size = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else QUEUE
    for exporter in span_exporters():
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=size))
    return provider


def _disabled() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


class _Ending:
    """Shuts providers down when the program ends, and leaves them behind after so many seconds.

    Python starts no thread so late, so one for each waits from the beginning.
    """

    def __init__(self, shutdowns: list[Callable[[], Any]], seconds: float) -> None:
        self._shutdowns = shutdowns
        self._seconds = seconds
        self._wait()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._wait)
        atexit.register(self._end)

    def _wait(self) -> None:
        self._ended = ended = threading.Event()

        def wait(shutdown: Callable[[], Any]) -> None:
            ended.wait()
            shutdown()

        self._threads = [
            threading.Thread(target=wait, args=(s,), name="tachograph-otel-end", daemon=True)
            for s in self._shutdowns
        ]
        for thread in self._threads:
            thread.start()

    def _end(self) -> None:
        until = time.monotonic() + self._seconds
        self._ended.set()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            logger.warning(
                "tachograph: the OpenTelemetry collector did not take everything in %g s; "
                "`tachograph export spans --since 1h` sends what is in SQL",
                self._seconds,
            )
