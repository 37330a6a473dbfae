"""A real Jaeger on free ports of this machine, and what it says through its query API."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.required import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30
VISIBLE_SECONDS = 10

CONFIG = """
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
    logs:
      level: warn
extensions:
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 100000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: 127.0.0.1:{query}
    grpc:
      endpoint: 127.0.0.1:{query_grpc}
  healthcheckv2:
    use_v2: true
    http:
      endpoint: 127.0.0.1:{health}
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{http}
      grpc:
        endpoint: 127.0.0.1:{grpc}
processors:
  batch:
    timeout: 10ms
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""


class Jaeger(NamedTuple):
    http: str
    """Base URL of OTLP over HTTP."""
    grpc: str
    query: str

    def endpoint(self, protocol: str) -> str:
        return self.grpc if protocol == "grpc" else self.http

    def spans(self, trace_id: str, count: int) -> list[dict[str, Any]]:
        """The spans of a trace by start, as the query API tells them, once so many are there."""
        found: list[dict[str, Any]] = []
        until = time.monotonic() + VISIBLE_SECONDS
        while len(found) < count and time.monotonic() < until:
            answer = httpx.get(f"{self.query}/api/traces/{trace_id}")
            data = answer.json()["data"] or [] if answer.status_code == 200 else []
            found = [span for trace in data for span in trace["spans"]]
        return sorted(found, key=lambda span: int(span["startTime"]))

    def spans_of(
        self, service: str, kind: str, count: int, seconds: float = VISIBLE_SECONDS
    ) -> list[dict[str, Any]]:
        """The spans of a service that are of this kind, once so many are there, or after so many
        seconds."""
        found: list[dict[str, Any]] = []
        until = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < until:
            asked = {"service": service, "limit": "10000"}
            answer = httpx.get(f"{self.query}/api/traces", params=asked, timeout=30)
            spans = [span for trace in answer.json()["data"] or [] for span in trace["spans"]]
            found = [span for span in spans if tags(span)["span.kind"] == kind]
        return found

    def service(self, trace_id: str) -> str:
        """The service that the first span of the trace is of."""
        trace = httpx.get(f"{self.query}/api/traces/{trace_id}").json()["data"][0]
        name: str = trace["processes"][trace["spans"][0]["processID"]]["serviceName"]
        return name


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def references(span: dict[str, Any]) -> dict[str, str]:
    """Ids of the parent (CHILD_OF) and of what is linked (FOLLOWS_FROM)."""
    return {reference["refType"]: reference["spanID"] for reference in span["references"]}


def binary() -> str:
    """The program: TACHOGRAPH_TEST_JAEGER, `jaeger` on PATH, or what `.ci/jaeger` has built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = (
        os.environ.get("TACHOGRAPH_TEST_JAEGER"),
        shutil.which("jaeger"),
        cache / "tachograph" / "jaeger",
    )
    found = [str(path) for path in candidates if path and Path(path).is_file()]
    if not found:
        missing("no Jaeger was found: put `jaeger` (v2) on PATH, or run .ci/jaeger")
    return found[0]


def serve(folder: Path) -> Iterator[Jaeger]:
    """Runs it until the caller is done."""
    names = ("http", "grpc", "query", "query_grpc", "health")
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in names]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        ports = {n: s.getsockname()[1] for n, s in zip(names, listeners, strict=True)}
    config = folder / "jaeger.yaml"
    config.write_text(CONFIG.format(**ports))
    log = folder / "jaeger.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary(), "--config", str(config)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        jaeger = Jaeger(*(f"http://127.0.0.1:{ports[name]}" for name in names[:3]))
        _wait(f"http://127.0.0.1:{ports['health']}/status", process, log)
        yield jaeger
    finally:
        process.kill()  # it keeps nothing, and takes its time to end of itself
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"Jaeger did not start:\n{log.read_text()[-4000:]}")
