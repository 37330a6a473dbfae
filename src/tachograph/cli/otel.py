"""OpenTelemetry for commands that record: set up where the environment names a collector."""

from __future__ import annotations

import os

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def collector(service_name: str | None = None) -> str | None:
    """The endpoint to which spans go from now on; None where the environment names none, and then
    nothing is loaded. `service_name` is that of the resource, unless OTEL_SERVICE_NAME says one."""
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
    if endpoint is not None:
        if service_name is not None:
            os.environ.setdefault("OTEL_SERVICE_NAME", service_name)
        from tachograph.telemetry.setup import configure_otel

        configure_otel()
    return endpoint
