"""A process that was killed before its calls were in SQL: the next one makes their spans, once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tachograph import Recorder
from tachograph.analytics import read_calls
from tachograph.testing import FakeOpenRouter
from tests.telemetry.conftest import Sdk

KILLED = """
import os, signal, sys
import httpx
from opentelemetry.sdk.trace import TracerProvider
import tachograph
provider = TracerProvider()
recorder = tachograph.Recorder("sqlite:///calls.db", base_urls=[sys.argv[1]],
                               tracer_provider=provider)
client = tachograph.instrument(httpx.Client(base_url=sys.argv[1]), recorder)
ask = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
with provider.get_tracer("app").start_as_current_span("work") as work:
    for _ in range(3):
        client.post("chat/completions", json=ask)
context = work.get_span_context()
print(f"{context.trace_id:032x} {context.span_id:016x}", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_spans_of_a_killed_process_are_made_by_the_next(sdk: Sdk, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    with FakeOpenRouter() as server:
        Recorder(url).close()
        with closing(sqlite3.connect(tmp_path / "calls.db")) as other:
            other.execute("BEGIN IMMEDIATE")  # so nothing gets from the journal into SQL
            said = subprocess.run(
                [sys.executable, "-c", KILLED, server.base_url],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout
        trace_id, parent_id = said.split()
        assert len(read_calls(url)) == 0
        for _ in range(2):  # the second finds nothing more to do
            with Recorder(url, tracer_provider=sdk.provider) as recorder:
                assert recorder.flush()
    calls = read_calls(url)
    assert calls["trace_id"].to_list() == [trace_id] * 3
    assert calls["parent_span_id"].to_list() == [parent_id] * 3
    assert calls["trace_sampled"].to_list() == [True] * 3
    made = [
        (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", span.parent.span_id)
        for span in sdk.spans()
        if span.context and span.parent
    ]
    assert made == [(trace_id, span_id, int(parent_id, 16)) for span_id in calls["span_id"]]
