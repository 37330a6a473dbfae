"""The openai SDK gets the same objects, bytes and errors whether its calls are recorded or not,
sends the same requests, and uses its connections the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

import tachograph
from tachograph import Recorder
from tachograph.analytics import read_calls
from tachograph.testing import KINDS, Answer, Chat, FakeOpenRouter, Pause, Request, failure

ASK: dict[str, Any] = {
    "model": "openai/gpt-5-mini",
    "messages": [{"role": "user", "content": "Grüße!"}],
}

SAID = Chat("Grüße vom Prüfstand: alles läuft.", reasoning="Kurz gedacht.")
CALLED = Chat("", tool_calls={"look_up": '{"a": 1}'}, finish_reason="tool_calls")
STREAMED = SAID.stream()
END = len(STREAMED.body)

SCRIPTS: dict[str, tuple[Answer, str, str]] = {
    "plain": (SAID.plain(), "plain", "completed"),
    "plain, kept alive": (SAID.plain().kept_alive(3), "plain", "completed"),
    "plain, gzip": (SAID.plain().encoded("gzip").cut_every(50), "plain", "completed"),
    "tool call": (CALLED.plain(), "plain", "completed"),
    "raw": (SAID.plain(), "raw", "completed"),
    "raw stream": (STREAMED.cut_every(100), "raw stream", "completed"),
    "stream": (STREAMED, "stream", "completed"),
    "stream, cut": (STREAMED.cut_every(13), "stream", "completed"),
    "stream, zstd": (STREAMED.encoded("zstd"), "stream", "completed"),
    "stream, tool call": (CALLED.stream(), "stream", "completed"),
    # the SDK has what it wants before the body ends, and reads the rest to keep the connection
    "stream, late end": (STREAMED.at(END, Pause(0.02)), "stream", "completed"),
    "stream, later end": (STREAMED.at(END, Pause(0.5)), "stream", "completed"),
    "stream, left early": (STREAMED.spaced(0.01), "left", "abandoned"),
    **{
        f"{kind}, {use}": (failure(kind), use, "failed")
        for kind in KINDS
        for use in ("plain", "stream")
        if kind.startswith("stream_") <= (use == "stream")
    },
}
"""An answer, what the SDK does with it, and the outcome of the call."""


class Seen(NamedTuple):
    """What the app saw, and what the server saw."""

    result: Any
    error: Any
    sent: list[Any]
    kept: bool
    """A second request went over the same connection."""


class Bench:
    """Four clients before one server: sync and async, bare and recorded."""

    def __init__(self, server: FakeOpenRouter, file: Path) -> None:
        self.server = server
        self.url = f"sqlite:///{file}"
        self.recorder = Recorder(self.url, base_urls=[server.base_url])
        self.loop = asyncio.Runner()
        self.clients: dict[tuple[str, bool], Any] = {}
        for recorded in (False, True):
            for kind, made in (("sync", openai.OpenAI), ("async", openai.AsyncOpenAI)):
                client = made(base_url=server.base_url, api_key="any", max_retries=0)
                if recorded:
                    tachograph.instrument(client, self.recorder)
                self.clients[kind, recorded] = client

    def close(self) -> None:
        for (kind, _), client in self.clients.items():
            if kind == "async":
                self.loop.run(client.close())
            else:
                client.close()
        self.loop.close()
        self.recorder.close()

    def see(self, kind: str, recorded: bool, use: str, *answers: Answer, **options: Any) -> Seen:
        """One call, and another that shows what became of the connection."""
        client = self.clients[kind, recorded].with_options(**options)
        self.server.script(*answers)
        first = len(self.server.requests)
        result, error = self._result(client, kind, use)
        sent = self.server.requests[first:]
        self.server.script(SAID.plain())
        self._result(client, kind, "plain")
        kept = self.server.requests[-1].connection == sent[-1].connection
        return Seen(result, error, [_as_sent(request) for request in sent], kept)

    def outcomes(self, name: str) -> list[str]:
        """Of the calls of the operation of that name, in order."""
        assert self.recorder.flush()
        calls = read_calls(self.url)
        outcomes: list[str] = calls.filter(calls["name"] == name)["outcome"].to_list()
        return outcomes

    def _result(self, client: Any, kind: str, use: str) -> tuple[Any, Any]:
        seen: list[Any] = []
        try:
            if kind == "sync":
                _use(client, use, seen)
            else:
                self.loop.run(_use_async(client, use, seen), context=copy_context())
        except (openai.OpenAIError, ValueError) as error:
            return seen, _as_seen(error)
        return seen, None


def _use(client: Any, use: str, seen: list[Any]) -> None:
    """What an app does; `seen` takes what it sees, also before an error."""
    completions = client.chat.completions
    if use == "plain":
        seen.append(completions.create(**ASK).to_dict())
    elif use == "raw":
        raw = completions.with_raw_response.create(**ASK)
        seen += [raw.status_code, raw.http_response.content, _own(raw.headers)]
    elif use == "raw stream":
        with completions.with_streaming_response.create(**ASK, stream=True) as raw:
            seen.extend(raw.iter_bytes())
    else:
        with completions.create(**ASK, stream=True) as stream:
            for chunk in islice(stream, 3 if use == "left" else None):
                seen.append(chunk.to_dict())


async def _use_async(client: Any, use: str, seen: list[Any]) -> None:
    completions = client.chat.completions
    if use == "plain":
        seen.append((await completions.create(**ASK)).to_dict())
    elif use == "raw":
        raw = await completions.with_raw_response.create(**ASK)
        seen += [raw.status_code, raw.http_response.content, _own(raw.headers)]
    elif use == "raw stream":
        async with completions.with_streaming_response.create(**ASK, stream=True) as raw:
            async for piece in raw.iter_bytes():
                seen.append(piece)
    else:
        async with await completions.create(**ASK, stream=True) as stream:
            async for chunk in stream:
                seen.append(chunk.to_dict())
                if use == "left" and len(seen) == 3:
                    break


def _own(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


def _as_seen(error: Exception) -> Any:
    response = getattr(error, "response", None)
    return (
        type(error),
        str(error),
        getattr(error, "body", None),
        type(error.__cause__),
        str(error.__cause__),
        response and (response.status_code, response.content, _own(response.headers)),
    )


def _as_sent(request: Request) -> Any:
    return (request.method, request.path, request.headers, request.body)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with FakeOpenRouter() as server:
        bench = Bench(server, tmp_path_factory.mktemp("sdk") / "calls.db")
        yield bench
        bench.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_recording_changes_nothing(bench: Bench, kind: str, script: str) -> None:
    answer, use, outcome = SCRIPTS[script]
    bare = bench.see(kind, False, use, answer)
    with bench.recorder.operation(f"{script} {kind}"):
        recorded = bench.see(kind, True, use, answer)
    assert recorded == bare
    assert bench.outcomes(f"{script} {kind}") == [outcome, "completed"]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("use", ["plain", "stream"])
def test_the_sdks_retries_are_its_own(bench: Bench, kind: str, use: str) -> None:
    answers = [
        failure("upstream_rate_limited", retry_after=0.001),
        failure("edge_error").with_headers({"Retry-After": "0.001"}),
        SAID.stream() if use == "stream" else SAID.plain(),
    ]
    bare = bench.see(kind, False, use, *answers, max_retries=2)
    with bench.recorder.operation(f"retried {use} {kind}"):
        recorded = bench.see(kind, True, use, *answers, max_retries=2)
    assert len(bare.sent) == 3
    assert recorded == bare
    outcomes = bench.outcomes(f"retried {use} {kind}")
    assert outcomes == ["failed", "failed", "completed", "completed"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_sdks_timeouts_are_its_own(bench: Bench, kind: str) -> None:
    late = SAID.plain().spaced(0.5)
    bare = bench.see(kind, False, "plain", late, timeout=0.05)
    with bench.recorder.operation(f"late {kind}"):
        recorded = bench.see(kind, True, "plain", late, timeout=0.05)
    assert bare.error[0] is openai.APITimeoutError
    assert recorded == bare
    assert bench.outcomes(f"late {kind}") == ["failed", "completed"]
