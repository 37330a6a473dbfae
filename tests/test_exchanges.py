"""Exchanges of every endpoint, plain and streamed, good and bad, over a real socket, cut at random
and in every coding: what is recorded is what a second reading finds, which knows nothing of ours.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, get_args

import httpx
import httpx2
import pytest

import tachograph.httpx
import tachograph.httpx2
from tachograph import Recorder
from tachograph.testing import Answer, FakeOpenRouter, Request
from tachograph.testing.encodings import Coding, compressor

SHELLS = {httpx: tachograph.httpx, httpx2: tachograph.httpx2}
CODINGS = ("", *get_args(Coding))

CHAT_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "cost": 0.000123,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
HEAD = {"id": "gen-1", "model": "openai/gpt-5-mini", "provider": "OpenAI"}
RESPONSES_USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "cost": 0.5,
}
MESSAGES_USAGE = {
    "input_tokens": 10,
    "output_tokens": 6,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
    "cost": 0.25,
}
ERROR = {"code": 502, "message": "The provider did not answer"}
DONE = "data: [DONE]\n\n"


def choice(end: str | None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": end, "message": {"content": "ä😀"}, **more}


def plain(*choices: Any, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": choices, "usage": CHAT_USAGE, **more}


def chunk(text: str | None = None, end: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": end}], **more}


def response(status: str, **more: Any) -> dict[str, Any]:
    answer = {"id": "gen-2", "model": "openai/gpt-5", "status": status, "error": None}
    return {**answer, "usage": RESPONSES_USAGE, **more}


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


def sse(*events: Any, line: str = "\n", named: bool = False) -> bytes:
    """Events as a server may write them."""
    texts = []
    for said in events:
        if isinstance(said, str):
            texts.append(said.replace("\n", line))
            continue
        name = f"event: {said['type']}{line}" if named else ""
        texts.append(f"{name}data: {json.dumps(said)}{line}{line}")
    return "".join(texts).encode()


LAST = chunk(end="stop", usage=CHAT_USAGE)
CREATED = event("response.created", response=response("in_progress", usage=None))
WRITING = event("response.output_text.delta", delta="a")
STARTED = event(
    "message_start",
    message={"id": "gen-3", "model": "a/b", "usage": {**MESSAGES_USAGE, "output_tokens": 1}},
)
BLOCK = event("content_block_delta", delta={"type": "text_delta", "text": "a"})
ENDED = event("message_delta", delta={"stop_reason": "end_turn"}, usage=MESSAGES_USAGE)
STOPPED = event("message_stop")

EXCHANGES: dict[str, tuple[str, Any]] = {
    "two choices": ("/chat/completions", plain(choice("stop"), choice("length"))),
    "a refusal": ("/chat/completions", plain(choice("content_filter", refusal="no"))),
    "an image": ("/chat/completions", plain(choice("stop", images=["A" * 300_000]))),
    "a choice that failed": ("/chat/completions", plain(choice("error", error=ERROR))),
    "an error in a 200": ("/chat/completions", {"error": ERROR}),
    "blanks before it": ("/chat/completions", b"\n         \n" * 5 + json.dumps(plain()).encode()),
    "a preset": ("/presets/mine/chat/completions", plain(choice("stop"), service_tier="flex")),
    "text": ("/completions", {**HEAD, "choices": [{"text": "a"}], "usage": CHAT_USAGE}),
    "no JSON": ("/chat/completions", b"<html>"),
    "cut JSON": ("/chat/completions", json.dumps(plain(choice("stop"))).encode()[:-9]),
    "a stream": ("/chat/completions", sse(": OPENROUTER PROCESSING\n\n", chunk("a"), LAST, DONE)),
    "CRLF and a mark": (
        "/chat/completions",
        b"\xef\xbb\xbf" + sse(chunk("a"), LAST, DONE, line="\r\n"),
    ),
    "CR": ("/chat/completions", sse(chunk("a"), LAST, DONE, line="\r")),
    "other fields": ("/chat/completions", sse("id: 7\nretry: 9\n\n", "event: x\n", LAST, DONE)),
    "several data lines": (
        "/chat/completions",
        sse(LAST).replace(b', "choices"', b',\ndata: "choices"') + DONE.encode(),
    ),
    "no blank behind data": ("/chat/completions", sse(LAST, DONE).replace(b"data: ", b"data:")),
    "no end of the last line": ("/chat/completions", sse(chunk("a"), LAST).rstrip()),
    "a stream that was cut": ("/chat/completions", sse(chunk("a"), chunk("b"))),
    "nothing but comments": ("/chat/completions", sse(": OPENROUTER PROCESSING\n\n")),
    "an error in a stream": ("/chat/completions", sse(chunk("a"), {"error": ERROR}, DONE)),
    "an end in error": ("/chat/completions", sse(chunk("a"), chunk(end="error"), DONE)),
    "an empty error": ("/chat/completions", sse(chunk("a", error={}), LAST, DONE)),
    "a response": ("/responses", response("completed")),
    "a response that failed": ("/responses", response("failed", error=ERROR)),
    "response.completed": (
        "/responses",
        sse(CREATED, WRITING, event("response.completed", response=response("completed")), DONE),
    ),
    "response.incomplete": (
        "/responses",
        sse(CREATED, event("response.incomplete", response=response("incomplete")), named=True),
    ),
    "response.failed": (
        "/responses",
        sse(CREATED, event("response.failed", response=response("failed", error=ERROR))),
    ),
    "an error event": ("/responses", sse(CREATED, event("error", code="server_error"))),
    "a response that was cut": ("/responses", sse(CREATED, WRITING)),
    "a message": (
        "/messages",
        {"id": "gen-3", "model": "a/b", "stop_reason": "refusal", "usage": MESSAGES_USAGE},
    ),
    "a stream of a message": (
        "/messages",
        sse(STARTED, event("ping"), BLOCK, ENDED, STOPPED, named=True) + DONE.encode(),
    ),
    "a message that was cut": ("/messages", sse(STARTED, BLOCK, named=True)),
    "a message that failed": ("/messages", sse(STARTED, event("error", error=ERROR), named=True)),
    "embeddings": (
        "/embeddings",
        {"id": "gen-4", "data": [{"embedding": [0.25] * 40_000}], "usage": CHAT_USAGE},
    ),
    "a rerank": ("/rerank", {**HEAD, "usage": {"search_units": 2, "cost": 0.001}}),
    "a transcription": ("/audio/transcriptions", {"text": "a", "usage": {"seconds": 9.25}}),
    "pictures": ("/images", {"data": [{"b64_json": "A" * 300_000}], "usage": CHAT_USAGE}),
    "a stream of pictures": (
        "/images",
        sse(event("image_generation.completed", b64_json="AAAA", usage=CHAT_USAGE), DONE),
    ),
}


# --- the second reading ---


def objects(body: bytes) -> tuple[list[Any], bool]:
    """The JSON of a body or of its events, and whether it is there to its end."""
    text = body.decode("utf-8-sig")
    if text.lstrip()[:1] in "{<":
        try:
            return [json.loads(text)], True
        except ValueError:
            return [], False
    found, data = [], []
    for line in [*re.split("\r\n|\r|\n", text), ""]:
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            found.append("\n".join(data).strip())
            data = []
    whole = "[DONE]" in found
    return [json.loads(said) for said in found if said != "[DONE]"], whole


def expected(path: str, body: bytes) -> dict[str, Any]:
    """What is to be in the row."""
    said, whole = objects(body)
    levels = [level for s in said for level in (s, s.get("response"), s.get("message")) if level]
    ends = [c for s in levels for c in s.get("choices", ())]
    usage: dict[str, Any] = {}
    for level in levels:
        new = level.get("usage") or {}
        if level in [s.get("message") for s in said]:  # what is counted before it is written
            new = {name: n for name, n in new.items() if "input" in name or "cache" in name}
        usage |= new
    details = [v for v in usage.values() if isinstance(v, dict)]
    cached = usage.get("cache_read_input_tokens")
    written = usage.get("cache_creation_input_tokens")
    fresh = usage.get("prompt_tokens", usage.get("input_tokens"))
    kinds = {s.get("type") for s in said}
    failed = (
        any(level.get("error") for level in [*levels, *ends])
        or any(c.get("finish_reason") == "error" for c in ends)
        or any(level.get("status") == "failed" for level in levels)
        or "error" in kinds
    )
    ended = [c["finish_reason"] for c in ends if c.get("finish_reason")]
    over = kinds & {"response.completed", "response.incomplete", "message_stop"}
    cost = usage.get("cost")
    return {
        "outcome": "completed" if not failed and (whole or ended or over) else "failed",
        "generation_id": _last(levels, "id"),
        "response_model": _last(levels, "model"),
        "provider": _last(levels, "provider"),
        "service_tier": _last(levels, "service_tier"),
        "input_tokens": None if fresh is None else fresh + (cached or 0) + (written or 0),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read_input_tokens": _last([usage, *details], "cached_tokens") or cached,
        "cache_write_input_tokens": written,
        "cache_write_1h_input_tokens": _last(details, "ephemeral_1h_input_tokens"),
        "reasoning_output_tokens": _last(details, "reasoning_tokens"),
        "search_units": usage.get("search_units"),
        "audio_seconds": usage.get("seconds"),
        "billed_picousd": None if cost is None else round(cost * 10**12),
        "chunks": len(said)
        if body.lstrip(b"\xef\xbb\xbf")[:1] in (b"d", b"e", b":", b"i")
        else None,
    }


def _last(levels: list[Any], name: str) -> Any:
    return next((level[name] for level in reversed(levels) if level.get(name)), None)


# --- the test ---


class Bench:
    """A recorder before a server that answers what a request's header names."""

    def __init__(self, folder: Path) -> None:
        self.random = Random(5)
        self.server = FakeOpenRouter(lambda request, _: self.answer(*read(request)))
        self.file = folder / "calls.db"
        base_urls = [self.server.base_url]
        self.recorder = Recorder(f"sqlite:///{self.file}", base_urls=base_urls)

    def answer(self, name: str, coding: str) -> Answer:
        body = body_of(name)
        headers = {"content-type": "text/event-stream" if streams(body) else "application/json"}
        if coding:
            headers["content-encoding"] = coding
        return Answer(200, headers, cut(coded(body, coding, self.random), self.random))

    def request(self, name: str, coding: str) -> dict[str, Any]:
        path, _ = EXCHANGES[name]
        headers = {"x-exchange": f"{name}|{coding}"}
        asked = {"stream": streams(body_of(name))}
        return {"url": self.server.base_url + path, "headers": headers, "json": asked}

    def check(self, names: list[str]) -> None:
        """Exactly these were recorded, and what was said."""
        assert self.recorder.flush(60)
        with closing(sqlite3.connect(self.file)) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute("SELECT * FROM calls").fetchall()
        assert sorted(row["name"] for row in rows) == sorted(names)
        for row in rows:
            wanted = expected(EXCHANGES[row["name"]][0], body_of(row["name"]))
            assert {column: row[column] for column in wanted} == wanted, row["name"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.recorder.close()
    bench.server.close()


@pytest.mark.parametrize("hx", SHELLS, ids=lambda hx: hx.__name__)
@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_recorded_is_what_was_said(bench: Bench, hx: ModuleType, coding: str) -> None:
    with hx.Client(transport=SHELLS[hx].RecordingTransport(bench.recorder)) as client:
        for name in EXCHANGES:
            with bench.recorder.operation(name):
                answer = client.post(**bench.request(name, coding))
            assert answer.content == body_of(name)
    bench.check(list(EXCHANGES))


@pytest.mark.parametrize("hx", SHELLS, ids=lambda hx: hx.__name__)
def test_many_at_once_are_not_mixed_up(bench: Bench, hx: ModuleType) -> None:
    asked = [(name, coding) for name in EXCHANGES for coding in CODINGS]
    bench.random.shuffle(asked)

    async def ask(client: Any, some: list[tuple[str, str]]) -> None:
        for name, coding in some:
            with bench.recorder.operation(name):
                await client.post(**bench.request(name, coding))

    async def main() -> None:
        transport = SHELLS[hx].AsyncRecordingTransport(bench.recorder)
        async with hx.AsyncClient(transport=transport) as client:
            await asyncio.gather(*(ask(client, asked[n::20]) for n in range(20)))

    asyncio.run(main())
    bench.check([name for name, _ in asked])


def body_of(name: str) -> bytes:
    said = EXCHANGES[name][1]
    return said if isinstance(said, bytes) else json.dumps(said).encode()


def streams(body: bytes) -> bool:
    return body[:1] not in (b"{", b"<", b"\n")


def read(request: Request) -> tuple[str, str]:
    name, _, coding = request.headers["x-exchange"].partition("|")
    return name, coding


def coded(body: bytes, coding: str, random: Random) -> bytes:
    """The body in that coding, flushed in parts."""
    if not coding:
        return body
    press = compressor(coding)  # type: ignore[arg-type]
    return b"".join([*map(press.piece, cut(body, random)), press.end()])


def cut(body: bytes, random: Random) -> tuple[bytes, ...]:
    at = sorted(random.randrange(len(body) + 1) for _ in range(random.randrange(12)))
    pieces = (body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True))
    return tuple(piece for piece in pieces if piece)
