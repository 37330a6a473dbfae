"""Keys planted wherever a call has room for one: none is in journal, database, spans or logs."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tachograph import Recorder
from tachograph.httpx import RecordingTransport

MARK = "PLANTED"
KEYS = ["sk-or-v1-{:08x}{}" + "0af" * 19, "sk-ant-api03-{:08x}{}_-abcdef", "sk-proj-{:08x}{}-xyz"]


def key(n: int) -> str:
    return KEYS[n % len(KEYS)].format(n, MARK)


def request(n: int) -> dict[str, Any]:
    k = key(n)
    return {
        "model": f"openai/gpt-5-mini {k}" if n % 2 else "openai/gpt-5-mini",
        "messages": [{"role": "user", "content": f"my key is {k}"}],
        "stream": n % 3 == 0,
        "user": f"user-{k}",
        "session_id": k,
        "reasoning": {"effort": k, "max_tokens": 5},
        "response_format": {"type": k},
        "provider": {"order": [k, "openai"], k: k, "options": {"openai": {"api_key": k}}},
        "plugins": [{"id": k}],
        "preset": k,
        "metadata": {k: k},
        "api_key": k,
        k[:60]: k,
    }


def usage(n: int) -> dict[str, Any]:
    return {"prompt_tokens": 5, "completion_tokens": 3, "cost": 0.25, "note": key(n), key(n): 1}


def success(n: int) -> dict[str, Any]:
    k = key(n)
    return {
        "id": f"gen-{k}",
        "model": k,
        "provider": f"Key {k}",
        "choices": [{"message": {"content": k}, "finish_reason": k, "native_finish_reason": k}],
        "service_tier": k,
        "usage": usage(n),
        "openrouter_metadata": {"summary": f"routed with {k}"},
    }


def error(n: int) -> dict[str, Any]:
    k = key(n)
    raw = {"raw": k, "provider_name": k, "flagged_input": k}
    return {"error": {"code": k, "message": f"Incorrect key: {k}, Bearer {k}", "metadata": raw}}


def stream(n: int) -> bytes:
    chunk = {**success(n), "choices": [{"delta": {"content": key(n)}}]}
    broken = {**chunk, **(error(n) if n % 2 else {})}
    return b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in (chunk, broken))


def answer(n: int) -> httpx.Response:
    headers = {
        "x-generation-id": key(n),
        "x-provider-name": key(n),
        "x-openrouter-cache-status": key(n),
        "set-cookie": f"session={key(n)}",
        "retry-after": key(n),
    }
    if n % 7 == 0:
        raise httpx.ConnectError(f"no way to https://user:{key(n)}@proxy")
    if n % 3 == 0:
        headers["content-type"] = "text/event-stream"
        return httpx.Response(200, headers=headers, content=stream(n))
    if n % 3 == 1:
        return httpx.Response(401 + n % 4, headers=headers, json=error(n))
    return httpx.Response(200, headers=headers, json=success(n))


PATHS = ["/chat/completions", "/responses", "/messages", "/embeddings", "/images", "/videos"]


def send(client: httpx.Client, recorder: Recorder, n: int) -> None:
    k = key(n)
    headers = {
        "authorization": f"Bearer {k}",
        "x-api-key": k,
        "user-agent": f"app/{k}",
        "x-session-id": k,
        "http-referer": f"https://example.com/?key={k}",
    }
    path = [*PATHS, f"/videos/{k}", f"/presets/{k}/messages", f"/keys/{k}"][n % 9]
    url = f"https://openrouter.ai/api/v1{path}?key={k}"
    tags = {"key": k, k: "x", "n": n}
    with (
        recorder.operation(f"op {k}", session=k, user=k, tags=tags),
        suppress(httpx.ConnectError),
    ):
        client.post(url, headers=headers, json=request(n))


def assert_without_keys(data: bytes, what: str) -> None:
    at = data.find(MARK.encode())
    assert at < 0, (what, data[max(0, at - 200) : at + 50])


@pytest.mark.parametrize(("capture_content", "calls"), [(False, 2000), ("full", 300)])
def test_no_key_is_kept_anywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capture_content: Any, calls: int
) -> None:
    caplog.set_level(logging.DEBUG, "tachograph")
    file = tmp_path / "calls.db"
    exporter = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    Recorder(f"sqlite:///{file}").close()
    lock = sqlite3.connect(file)
    lock.execute("BEGIN EXCLUSIVE")  # so that all calls wait in the journal
    recorder = Recorder(
        f"sqlite:///{file}",
        tracer_provider=tracing,
        capture_content=capture_content,
        api_key_salt="salt",
    )
    numbers = iter(range(calls))
    answers = httpx.MockTransport(lambda _: answer(next(numbers)))
    with httpx.Client(transport=RecordingTransport(recorder, answers)) as client:
        for n in range(calls):
            send(client, recorder, n)
    journal = b"".join(path.read_bytes() for path in (tmp_path / "calls.db.journal").iterdir())
    assert journal.count(b"openrouter.ai") >= calls
    assert_without_keys(journal, "journal")
    lock.rollback()
    lock.close()
    assert recorder.flush(60)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"calls.db", "calls.db-wal"}
    for path in files:
        assert_without_keys(path.read_bytes(), path.name)
    assert recorder.status().stored == calls
    assert recorder.close(20)
    assert_without_keys(file.read_bytes(), "database")
    spans = exporter.get_finished_spans()
    assert len(spans) >= calls
    assert_without_keys("".join(span.to_json() for span in spans).encode(), "spans")
    logged = [record for record in caplog.records if record.name.startswith("tachograph")]
    assert_without_keys("".join(map(caplog.handler.format, logged)).encode(), "logs")


@pytest.mark.parametrize("before", ["", "x" * 490])  # the message is cut within the key
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_gateways_own_key_is_not_kept_where_it_is_repeated(
    tmp_path: Path, scheme: str, before: str
) -> None:
    file = tmp_path / "calls.db"
    key = "key-of-a-gateway"
    said = f"{before}{key} is not valid"
    refusal = httpx.Response(401, json={"error": {"code": 401, "message": said}})
    with (
        Recorder(f"sqlite:///{file}") as recorder,
        httpx.Client(
            transport=RecordingTransport(recorder, httpx.MockTransport(lambda _: refusal))
        ) as client,
    ):
        url = "https://openrouter.ai/api/v1/chat/completions"
        client.post(url, headers={"authorization": f"{scheme} {key}"}, json={"model": "a/b"})
    with sqlite3.connect(file) as connection:
        (message,) = connection.execute("SELECT error_message FROM calls").fetchone()
    connection.close()
    assert message == f"{before}[redacted]" + ("" if before else " is not valid")
