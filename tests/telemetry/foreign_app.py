"""An app whose openai client is watched by us, and by the instrumentation that its argument names.

Prints the spans and the rows of a plain answer, a stream, a call that is sent twice, and a stream
that is left early. Runs in an environment of its own: see `test_foreign_packages.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import openai
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tachograph
from tachograph.analytics import read_calls
from tachograph.testing import FakeOpenRouter, failure

ASK: Any = {
    "model": "openai/gpt-5-mini",
    "messages": [{"role": "user", "content": "Hello"}],
}
EXPORTER = InMemorySpanExporter()


def _instrumented(by: str) -> Callable[..., openai.OpenAI]:
    """The class of clients, after that instrumentation has been set up."""
    processor = SimpleSpanProcessor(EXPORTER)
    if by == "logfire":
        logfire: Any = import_module("logfire")
        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[processor]
        )
        logfire.instrument_openai()
        return openai.OpenAI
    provider = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    if by == "langfuse":
        langfuse: Any = import_module("langfuse")
        keys = {"public_key": "none", "secret_key": "none"}
        langfuse.Langfuse(**keys, tracer_provider=provider, span_exporter=EXPORTER)
        made: Callable[..., openai.OpenAI] = import_module("langfuse.openai").OpenAI
        return made
    provider.add_span_processor(processor)
    import_module(f"{by}.instrumentation.openai").OpenAIInstrumentor().instrument()
    return openai.OpenAI


def _plain(client: openai.OpenAI, server: FakeOpenRouter) -> None:
    client.chat.completions.create(**ASK)


def _stream(client: openai.OpenAI, server: FakeOpenRouter) -> None:
    for _ in client.chat.completions.create(**ASK, stream=True):
        pass


def _twice(client: openai.OpenAI, server: FakeOpenRouter) -> None:
    server.script(failure("rate_limited", retry_after=0.01))
    client.chat.completions.create(**ASK)


def _left(client: openai.OpenAI, server: FakeOpenRouter) -> None:
    stream = client.chat.completions.create(**ASK, stream=True)
    next(iter(stream))
    stream.close()


def main(by: str, url: str) -> None:
    made = _instrumented(by)
    provider: Any = trace.get_tracer_provider()
    told: dict[str, Any] = {}
    known = 0
    with (
        FakeOpenRouter() as server,
        tachograph.Recorder(url, base_urls=[server.base_url]) as recorder,
        made(base_url=server.base_url, api_key="any") as client,
    ):
        tachograph.instrument(client, recorder)
        for ask in (_plain, _stream, _twice, _left):
            EXPORTER.clear()
            ask(client, server)
            recorder.flush()
            provider.force_flush()
            calls = read_calls(url)[known:]
            known += len(calls)
            columns = ["outcome", "span_id", "parent_span_id", "trace_id"]
            told[ask.__name__] = {
                "calls": calls.select(columns).rows(named=True),
                "spans": [json.loads(span.to_json()) for span in EXPORTER.get_finished_spans()],
            }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
