"""A collector that refuses, is slow or never answers: calls go on, programs end, all is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tachograph.analytics import read_calls
from tachograph.testing import FakeOpenRouter
from tests.telemetry.collector import Collector, collecting
from tests.telemetry.jaeger import Jaeger, references

CALLS = 30

# Spans go out one by one, so that the exporter is stuck while calls are still being made.
APP = """
import sys, threading, time
import httpx, tachograph
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

exporting = []
export = OTLPSpanExporter.export
def watched(self, spans):
    exporting.append(threading.current_thread())
    return export(self, spans)
OTLPSpanExporter.export = watched

tachograph.configure_otel()
recorder = tachograph.Recorder("sqlite:///calls.db", base_urls=[sys.argv[1]])
client = tachograph.instrument(httpx.Client(base_url=sys.argv[1]), recorder)
ask = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
longest = 0.0
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    with recorder.operation("ask"):
        client.post("chat/completions", json=ask).raise_for_status()
    longest = max(longest, time.perf_counter() - began)
    recorder.flush()
on_this_thread = exporting.count(threading.current_thread())
print(longest, len(exporting), on_this_thread, time.time())
"""


class Ran(NamedTuple):
    longest: float
    """Seconds of the slowest call."""
    exports: int
    on_the_callers_thread: int
    exit_seconds: float


def _run(server: FakeOpenRouter, folder: Path, **otel: str) -> Ran:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    said = subprocess.run(
        [sys.executable, "-c", APP, server.base_url, str(CALLS)],
        cwd=folder,
        env={**kept, **otel},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    ended = time.time()
    longest, exports, on_the_callers_thread, end = said.split()
    return Ran(float(longest), int(exports), int(on_the_callers_thread), ended - float(end))


@contextmanager
def _gone() -> Iterator[Collector]:
    """Nobody listens there."""
    with collecting() as collector:
        pass
    yield collector


@pytest.mark.parametrize("manner", ["gone", "refuses", "slow", "hangs"])
def test_calls_go_on_the_program_ends_and_the_spans_are_sent_later(
    manner: Any, tmp_path: Path, jaeger: Jaeger
) -> None:
    """The app needs a second or two for all of its calls; were one of them to wait for this
    collector, it would take that long itself. Its exit is measured against that of the same app
    without OpenTelemetry. Bounds leave room for a slow machine."""
    service = f"dead-collector-{manner}"
    with FakeOpenRouter() as server, _gone() if manner == "gone" else collecting(manner) as bad:
        (tmp_path / "bare").mkdir()
        bare = _run(server, tmp_path / "bare", OTEL_SDK_DISABLED="true")
        ran = _run(
            server,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=bad.url,
            OTEL_SERVICE_NAME=service,
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1",
            OTEL_BSP_SCHEDULE_DELAY="1",
        )
        got = {span.span_id.hex() for span in bad.spans}
    assert ran.longest < 1
    assert (ran.exports > 0, ran.on_the_callers_thread) == (True, 0)
    assert ran.exit_seconds - bare.exit_seconds < 2

    url = f"sqlite:///{tmp_path / 'calls.db'}"
    calls = read_calls(url)
    assert len(calls) == CALLS
    recorded = set(calls["span_id"])
    assert recorded - got, "none was lost, so this test shows nothing"
    _export(tmp_path, url, jaeger.http)
    sent = jaeger.spans_of(service, "client", CALLS)
    assert sorted(span["spanID"] for span in sent) == sorted(recorded)
    operations = {span["spanID"] for span in jaeger.spans_of(service, "internal", CALLS)}
    assert len(operations) == CALLS
    assert {references(span)["CHILD_OF"] for span in sent} == operations


def _export(folder: Path, db: str, endpoint: str) -> None:
    program = "from tachograph.cli import main; main()"
    arguments = ["export", "spans", "--db", db, "--since", "1h", "--endpoint", endpoint]
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, check=True, timeout=60)
