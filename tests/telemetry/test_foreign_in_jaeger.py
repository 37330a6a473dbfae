"""OpenTelemetry's own instrumentation of openai beside ours: in Jaeger each call is there once."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tachograph.analytics import read_calls
from tachograph.testing import FakeOpenRouter, failure
from tests.required import missing
from tests.telemetry.collector import collecting
from tests.telemetry.jaeger import Jaeger, tags

# Two calls that the instrumentation has spans for, and one that it knows nothing of.
APP = """
import sys
import httpx, openai, tachograph
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

tachograph.configure_otel()
OpenAIInstrumentor().instrument()
url = sys.argv[1]
ask = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
with tachograph.Recorder("sqlite:///calls.db", base_urls=[url]) as recorder:
    client = tachograph.instrument(openai.OpenAI(base_url=url, api_key="any"), recorder)
    for _ in range(2):
        client.chat.completions.create(**ask)
    other = tachograph.instrument(httpx.Client(base_url=url), recorder)
    other.post("chat/completions", json=ask).raise_for_status()
"""


def _run(folder: Path, service: str, endpoint: str) -> str:
    """The app, whose first request is answered with 429 at first; the URL of its database."""
    if find_spec("opentelemetry.instrumentation.genai") is None:
        missing("opentelemetry-instrumentation-genai-openai is not installed")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": service}
    with FakeOpenRouter() as server:
        server.script(failure("rate_limited", retry_after=0.01))
        command = [sys.executable, "-c", APP, server.base_url]
        subprocess.run(command, cwd=folder, env={**kept, **otel}, check=True, timeout=60)
    url = f"sqlite:///{folder / 'calls.db'}"
    assert read_calls(url)["foreign_span"].to_list() == [True, True, True, False]
    return url


def _export(url: str, jaeger: Jaeger, *more: str) -> list[str]:
    """The command's lines."""
    program = "from tachograph.cli import main; main()"
    command = ["export", "spans", "--db", url, "--since", "1h", "--endpoint", jaeger.http, *more]
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_a_span_of_another_instrumentation_that_arrived_stays_the_only_one(
    tmp_path: Path, jaeger: Jaeger
) -> None:
    url = _run(tmp_path, "foreign-arrived", jaeger.http)
    arrived = jaeger.spans_of("foreign-arrived", "client", 3)
    recorded = set(read_calls(url)["span_id"])
    assert {span["spanID"] for span in arrived} == recorded
    assert len(arrived) == len(recorded) == 3
    assert all(tags(span)["openrouter.cost"] for span in arrived)

    assert _export(url, jaeger) == [
        "spans sent: 1 of 4 calls",
        "left alone, since another instrumentation had their span "
        "(--include-foreign sends them): 3",
    ]
    again = jaeger.spans_of("foreign-arrived", "client", 4, seconds=2)
    assert sorted(span["spanID"] for span in again) == sorted(recorded)


def test_a_span_of_another_instrumentation_that_was_lost_is_made_when_asked_for(
    tmp_path: Path, jaeger: Jaeger
) -> None:
    """Its second sending, for which it had no span of its own, gets one beneath it."""
    with collecting("refuses") as refusing:
        url = _run(tmp_path, "foreign-lost", refusing.url)
    calls = read_calls(url)
    assert _export(url, jaeger, "--include-foreign") == ["spans sent: 4 of 4 calls"]
    spans = jaeger.spans_of("foreign-lost", "client", 4)
    told = {tags(span)["openrouter.call_id"]: span for span in spans}
    assert told.keys() == set(calls["id"])
    assert len({span["spanID"] for span in spans}) == 4
    assert {span["spanID"] for span in spans} > set(calls["span_id"])
