"""The exporters that the environment names (`OTEL_*`), for spans and for metrics."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from tachograph.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

Signal = Literal["traces", "metrics"]

_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_PACKAGES = {
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
}


def span_exporters() -> list[SpanExporter]:
    """Those of OTEL_TRACES_EXPORTER, OTLP where it is not set; none for `none`."""
    return [_load("traces", name)() for name in _names("traces", "otlp")]


def metric_exporters() -> list[MetricExporter]:
    """Those of OTEL_METRICS_EXPORTER.

    Where that is not set, OTLP if OTEL_EXPORTER_OTLP_METRICS_ENDPOINT says where to, else none:
    backends of traces, as Jaeger, refuse metrics.
    """
    default = "otlp" if os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") else "none"
    return [_load("metrics", name)() for name in _names("metrics", default)]


def otlp_span_exporter(endpoint: str | None = None) -> SpanExporter:
    """An OTLP exporter to this base URL (`http://localhost:4318`), or to where the environment
    says; the protocol is that of the environment."""
    name = _otlp("traces")
    exporter = _load("traces", name)
    if endpoint is not None and name == "otlp_proto_http":
        url = urlsplit(endpoint)
        if not url.path.endswith("/v1/traces"):
            endpoint = urlunsplit(url._replace(path=url.path.rstrip("/") + "/v1/traces"))
    made: SpanExporter = exporter(endpoint=endpoint)
    return made


def _names(signal: Signal, default: str) -> list[str]:
    said = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or default
    names = [name.strip() for name in said.split(",")]
    return [_otlp(signal) if name == "otlp" else name for name in names if name != "none"]


def _otlp(signal: Signal) -> str:
    protocol = (
        os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
        or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    ).strip()
    if protocol not in _BY_PROTOCOL:
        known = " or ".join(_BY_PROTOCOL)
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; use {known}")
    return _BY_PROTOCOL[protocol]


def _load(signal: Signal, name: str) -> Any:
    """The exporter's class, by the entry point that its package declares."""
    found = entry_points(group=f"opentelemetry_{signal}_exporter", name=name)
    for entry_point in found:
        return entry_point.load()
    package = _PACKAGES.get(name)
    if package is None:
        raise SettingsError(
            f"OTEL_{signal.upper()}_EXPORTER names {name!r}, which no installed package offers"
        )
    raise SettingsError(f"exporting {signal} needs a package: pip install {package}")
