"""Endpoints that do not answer as chat does, through the whole path into a row."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import tachograph.httpx
import tachograph.httpx2
from tachograph import Recorder

ROOT = "https://openrouter.ai/api/v1"
SHELLS = {httpx: tachograph.httpx, httpx2: tachograph.httpx2}


def recorded(
    folder: Path,
    hx: ModuleType,
    path: str,
    answer: dict[str, Any],
    method: str = "POST",
    **request: Any,
) -> dict[str, Any]:
    """The row of one call."""
    wire = hx.MockTransport(lambda _: hx.Response(**{"status_code": 200, **answer}))
    file = folder / "calls.db"
    with Recorder(f"sqlite:///{file}") as recorder:
        transport = SHELLS[hx].RecordingTransport(recorder, wire)
        with hx.Client(transport=transport) as client:
            client.request(method, ROOT + path, **request)
    with sqlite3.connect(file) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = connection.execute("SELECT * FROM calls")
    connection.close()
    return dict(row)


@pytest.mark.parametrize("hx", SHELLS, ids=lambda hx: hx.__name__)
def test_a_transcription_of_an_uploaded_file(tmp_path: Path, hx: ModuleType) -> None:
    usage = {"seconds": 9.2, "input_tokens": 83, "output_tokens": 30, "cost": 0.000508}
    row = recorded(
        tmp_path,
        hx,
        "/audio/transcriptions",
        {"json": {"text": "Hello", "usage": usage}, "headers": {"x-generation-id": "gen-stt-1"}},
        data={"model": "openai/whisper-1"},
        files={"file": ("a.mp3", b"ID3" * 100)},
    )
    assert row["operation_name"] == "transcription"
    assert row["request_model"] == "openai/whisper-1"
    assert (row["audio_seconds"], row["billed_picousd"]) == (9.2, 508_000_000)
    assert row["generation_id"] == "gen-stt-1"
    assert row["request_bytes"] > 300


@pytest.mark.parametrize("hx", SHELLS, ids=lambda hx: hx.__name__)
def test_speech_is_bytes_with_an_id_in_the_head(tmp_path: Path, hx: ModuleType) -> None:
    headers = {"content-type": "audio/mpeg", "x-generation-id": "gen-tts-1"}
    row = recorded(
        tmp_path,
        hx,
        "/audio/speech",
        {"content": b"ID3" * 1000, "headers": headers},
        json={"model": "openai/tts", "input": "say this", "voice": "alloy"},
    )
    assert (row["outcome"], row["operation_name"]) == ("completed", "speech")
    assert (row["generation_id"], row["response_bytes"]) == ("gen-tts-1", 3000)
    assert (row["spent_picousd"], row["cost_source"]) == (None, "unknown")
    assert row["parameters"] == '{"other_fields":["voice"]}'


def test_a_rerank(tmp_path: Path) -> None:
    usage = {"search_units": 1, "total_tokens": 150, "cost": 0.001}
    answer = {"id": "gen-rerank-1", "model": "cohere/rerank", "results": [], "usage": usage}
    row = recorded(tmp_path, httpx, "/rerank", {"json": answer}, json={"query": "q"})
    assert (row["operation_name"], row["search_units"]) == ("rerank", 1)
    assert (row["generation_id"], row["billed_picousd"]) == ("gen-rerank-1", 1_000_000_000)


def test_the_head_of_an_answer_has_no_body_that_could_be_malformed(tmp_path: Path) -> None:
    answer = {"headers": {"content-type": "application/json", "content-length": "99"}}
    row = recorded(tmp_path, httpx, "/models", answer, method="HEAD")
    assert (row["outcome"], row["http_status"], row["error_type"]) == ("completed", 200, None)


def test_a_wait_in_milliseconds_as_the_openai_sdk_takes_it(tmp_path: Path) -> None:
    answer = {"status_code": 429, "headers": {"retry-after-ms": "1500", "retry-after": "2"}}
    row = recorded(tmp_path, httpx, "/chat/completions", answer, json={"model": "a/b"})
    assert (row["outcome"], row["retry_after_seconds"]) == ("failed", 1.5)
