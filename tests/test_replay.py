"""Every recorded exchange goes over a socket through the middleware, byte for byte, and its row
says what the recording says.

What a recording says is found here by a plain walk over its JSON, not by the readers under test.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextvars import copy_context
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

import tachograph.httpx
import tachograph.httpx2
from tachograph import Recorder
from tachograph.testing import Answer, FakeOpenRouter
from tests.recordings import Recording, recorded_calls, recordings
from tests.required import missing

SHELLS = {httpx: tachograph.httpx, httpx2: tachograph.httpx2}

CUTS: dict[str, Callable[[Answer, random.Random], Answer]] = {
    "whole": lambda answer, chance: answer,
    "cut": lambda answer, chance: _cut(answer, chance),
    "gzip cut": lambda answer, chance: _cut(answer.encoded("gzip"), chance),
    "zstd cut": lambda answer, chance: _cut(answer.encoded("zstd"), chance),
}


class Replay:
    """Clients of both families, sync and async, under one recorder, before one server."""

    def __init__(self, folder: Path, server: FakeOpenRouter) -> None:
        self.server = server
        self.file = folder / "calls.db"
        self.recorder = Recorder(f"sqlite:///{self.file}", base_urls=[server.base_url])
        self.loop = asyncio.Runner()
        self.clients: dict[str, Any] = {}
        for family, shells in SHELLS.items():
            transport = shells.RecordingTransport(self.recorder)
            self.clients[f"{family.__name__} sync"] = family.Client(transport=transport)
            transport = shells.AsyncRecordingTransport(self.recorder)
            self.clients[f"{family.__name__} async"] = family.AsyncClient(transport=transport)

    def close(self) -> None:
        for client in self.clients.values():
            if hasattr(client, "aclose"):
                self.loop.run(client.aclose())
            else:
                client.close()
        self.loop.close()
        self.recorder.close()

    def run(self, recording: Recording) -> dict[str, sqlite3.Row]:
        """Sends it in every way; the row of each way."""
        chance = random.Random(recording.name)
        ways = [(client, cut) for client in self.clients for cut in CUTS]
        for client, cut in ways:
            answer = Answer(recording.status, recording.headers, (recording.body,))
            answer = CUTS[cut](answer, chance)
            self.server.script(answer)
            with self.recorder.operation(recording.name, session=f"{client} {cut}"):
                status, raw = self._send(self.clients[client], recording)
            assert status == recording.status
            assert raw == answer.body
        assert self.recorder.flush()
        connection = sqlite3.connect(self.file)
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM calls WHERE name = ?", [recording.name])
        rows = {row["session_id"]: row for row in found}
        connection.close()
        assert len(rows) == len(ways)
        return rows

    def _send(self, client: Any, recording: Recording) -> tuple[int, bytes]:
        """The status and the bytes that the caller gets."""
        headers = {"content-type": "application/json", "authorization": "Bearer sk-or-v1-secret"}
        url = self.server.base_url + recording.path
        sending = client.stream(
            recording.method, url, content=recording.request_body, headers=headers
        )
        if isinstance(client, httpx.Client | httpx2.Client):
            with sending as response:
                return response.status_code, b"".join(response.iter_raw())

        async def receive() -> tuple[int, bytes]:
            async with sending as response:
                pieces = [piece async for piece in response.aiter_raw()]
                return response.status_code, b"".join(pieces)

        return self.loop.run(receive(), context=copy_context())


def _cut(answer: Answer, chance: random.Random) -> Answer:
    size = len(answer.body)
    return answer.cut(*(chance.randrange(size) for _ in range(chance.randint(1, 40))))


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with FakeOpenRouter() as server:
        replay = Replay(tmp_path_factory.mktemp("replay"), server)
        yield replay
        replay.close()


# --- what a recording says ---


def events(recording: Recording) -> list[dict[str, Any]]:
    """Its JSON: the one body, or the data of each event."""
    text = recording.body.decode()
    if not recording.streamed:
        return [json.loads(text, parse_float=Decimal)]
    data = [line[6:] for line in text.split("\n") if line.startswith("data: {")]
    return [json.loads(event, parse_float=Decimal) for event in data]


def messages(recording: Recording) -> list[dict[str, Any]]:
    """The objects that tell facts: events of /responses and /messages have them inside."""
    found = []
    for event in events(recording):
        message = event.get("response") or event.get("message") or event
        if event.get("type") == "message_start":
            del message["usage"]  # provisional
        found.append(message)
    return found


def last(found: list[dict[str, Any]], name: str) -> Any:
    """The last value of that name that says something."""
    return next((m[name] for m in reversed(found) if m.get(name)), None)


def choices(recording: Recording) -> list[dict[str, Any]]:
    return [choice for m in messages(recording) for choice in m.get("choices") or ()]


def finish_reason(recording: Recording) -> str | None:
    found = messages(recording)
    if recording.path == "/responses":
        details: dict[str, str] = found[-1].get("incomplete_details") or {}
        return details.get("reason") or str(found[-1]["status"])
    if recording.path == "/messages":
        found = [m.get("delta") or m for m in found]
        return last(found, "stop_reason")  # type: ignore[no-any-return]
    return last(choices(recording), "finish_reason")  # type: ignore[no-any-return]


def failed(recording: Recording) -> bool:
    return (
        recording.status >= 400
        or last(messages(recording), "error") is not None
        or finish_reason(recording) == "error"
    )


def speaks(recording: Recording) -> bool:
    """Whether a piece of content, reasoning or a tool call came in a stream."""
    pieces = [choice.get("delta") or {} for choice in choices(recording)]
    for event in events(recording):
        kind = event.get("type") or ""
        if kind.endswith("delta"):
            delta = event["delta"]
            pieces.append(delta if isinstance(delta, dict) else {"content": delta})
        elif (event.get("item") or {}).get("type") == "function_call":
            return True
    names = ("content", "reasoning", "tool_calls", "images", "text", "thinking", "partial_json")
    return any(piece.get(name) for piece in pieces for name in names)


COLUMNS = {
    "prompt_tokens": "input_tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "input_tokens_details.cached_tokens": "cache_read_input_tokens",
    "input_tokens_details.cache_write_tokens": "cache_write_input_tokens",
    "output_tokens_details.reasoning_tokens": "reasoning_output_tokens",
    "output_tokens_details.thinking_tokens": "reasoning_output_tokens",
    "cache_read_input_tokens": "cache_read_input_tokens",
    "cache_creation_input_tokens": "cache_write_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h_input_tokens",
    "cost_details.upstream_inference_input_cost": "upstream_input_picousd",
    "cost_details.upstream_inference_output_cost": "upstream_output_picousd",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "prompt_tokens_details.cached_tokens": "cache_read_input_tokens",
    "prompt_tokens_details.cache_write_tokens": "cache_write_input_tokens",
    "prompt_tokens_details.audio_tokens": "audio_input_tokens",
    "prompt_tokens_details.video_tokens": "video_input_tokens",
    "completion_tokens_details.reasoning_tokens": "reasoning_output_tokens",
    "completion_tokens_details.image_tokens": "image_output_tokens",
    "completion_tokens_details.audio_tokens": "audio_output_tokens",
    "server_tool_use_details.web_search_requests": "web_searches",
    "cost": "billed_picousd",
    "is_byok": "is_byok",
    "cost_details.upstream_inference_cost": "upstream_picousd",
    "cost_details.upstream_inference_prompt_cost": "upstream_input_picousd",
    "cost_details.upstream_inference_completions_cost": "upstream_output_picousd",
}
"""Where each number of a usage object goes; a number of any other name goes to `usage_extra`."""

USAGE_COLUMNS = {*COLUMNS.values(), "search_units", "audio_seconds"}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each number below an object, with the names that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif value is not None:
        yield path, value


def usage_row(recording: Recording) -> tuple[dict[str, Any], dict[str, Any]]:
    """The usage columns, and the leaves of `usage_extra`."""
    columns: dict[str, Any] = dict.fromkeys(USAGE_COLUMNS)
    extra = {}
    for path, value in leaves(last(messages(recording), "usage")):
        column = COLUMNS.get(path)
        if column is None:
            extra[path] = value
        elif column.endswith("_picousd"):
            columns[column] = round(Decimal(value) * 10**12)  # half to even
            if Decimal(columns[column]) != Decimal(value) * 10**12:
                extra[path] = value
        else:
            columns[column] = value
    if recording.path == "/messages" and columns["input_tokens"] is not None:
        # theirs are without what was read from the cache and written to it
        for name in ("cache_read_input_tokens", "cache_write_input_tokens"):
            columns["input_tokens"] += columns[name] or 0
        extra.pop("service_tier", None)
    return columns, extra


def error_word(recording: Recording) -> str:
    """The error's class, by OpenRouter's documents."""
    error = last(messages(recording), "error") or {}
    metadata = error.get("metadata") or {}
    code = recording.status if recording.status >= 400 else error.get("code")
    if metadata.get("limit_source") == "openrouter_in_flight_budget":
        return "in_flight_budget"
    if code == 429 and metadata.get("provider_name"):
        return "upstream_rate_limited"
    if error.get("message") == "Token limit reached":
        return "max_tokens_exceeded"
    return {
        None: "provider_error",
        400: "invalid_request",
        401: "authentication",
        402: "insufficient_credits",
        429: "rate_limited",
        502: "provider_unavailable",
    }[code]


def expected_row(recording: Recording) -> dict[str, Any]:
    found = messages(recording)
    error = last(found, "error") or {}
    request = json.loads(recording.request_body)
    columns, _ = usage_row(recording)
    billed, upstream = columns["billed_picousd"], columns["upstream_picousd"]
    spent = billed + upstream if columns["is_byok"] else billed
    native = last(choices(recording), "native_finish_reason")
    code = error.get("code", error.get("type", native if failed(recording) else None))
    retry_after = recording.headers.get("retry-after")
    return {
        "operation_name": "chat",
        "path": recording.path,
        "request_model": request["model"],
        "stream": request.get("stream"),
        "request_bytes": len(recording.request_body),
        "http_status": recording.status,
        "outcome": "failed" if failed(recording) else "completed",
        "error_type": error_word(recording) if failed(recording) else None,
        "error_code": None if code is None else str(code),
        "error_message": error.get("message"),
        "retry_after_seconds": None if retry_after is None else float(retry_after),
        "chunks": len(events(recording)) if recording.streamed else None,
        "response_model": last(found, "model"),
        "provider": last(found, "provider"),
        "generation_id": last(found, "id") or recording.headers.get("x-generation-id"),
        "finish_reason": finish_reason(recording),
        "native_finish_reason": native,
        "service_tier": last([*found, last(found, "usage") or {}], "service_tier"),
        **columns,
        "spent_picousd": spent,
        "computed_picousd": None,
        "cost_source": "unknown" if spent is None else "billed",
    }


# --- the tests ---


def test_recordings_are_there() -> None:
    if not recordings():
        missing("the recorded exchanges are not here")
    assert len([r for r in recorded_calls() if r.expected]) == 74


@pytest.mark.parametrize(
    "recording", [r for r in recorded_calls() if r.expected], ids=lambda r: r.name
)
def test_the_walk_finds_what_the_index_says(recording: Recording) -> None:
    line = recording.expected
    assert line is not None
    found = messages(recording)
    assert recording.streamed == line["sse"]
    assert recording.status == line["http_status"]
    for name in ("id", "model", "provider"):
        assert last(found, name) == line[name]
    usage = last(found, "usage")
    assert (usage and {p: float(v) for p, v in leaves(usage)}) == (
        line["usage"] and {p: float(v) for p, v in leaves(line["usage"])}
    )
    if not recording.streamed and line["finish_reason"]:  # of a stream: what its last chunk says
        for name in ("finish_reason", "native_finish_reason"):
            assert last(choices(recording), name) == line[name]


@pytest.mark.parametrize("recording", recorded_calls(), ids=lambda r: r.name)
def test_the_row_says_what_the_recording_says(recording: Recording, replay: Replay) -> None:
    expected = expected_row(recording)
    _, extra = usage_row(recording)
    for way, row in replay.run(recording).items():
        assert {name: row[name] for name in expected} == expected, way
        stored = json.loads(row["usage_extra"] or "{}", parse_float=Decimal)
        assert dict(leaves(stored)) == extra, way
        assert row["latency_seconds"] >= row["headers_seconds"] > 0, way
        assert (row["first_token_seconds"] is not None) == (
            recording.streamed and speaks(recording)
        ), way
        if "cut" not in way:
            assert row["response_bytes"] == len(recording.body), way


@pytest.mark.parametrize(
    "recording", [r for r in recordings() if r.path == "/models"], ids=lambda r: r.name
)
def test_reading_the_catalogue_is_no_call_of_a_model(recording: Recording, replay: Replay) -> None:
    for row in replay.run(recording).values():
        assert (row["outcome"], row["path"]) == ("completed", "/models")
        assert row["operation_name"] is None
        assert row["cost_source"] == "unknown"
