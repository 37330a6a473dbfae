"""One line under a client that exists: what it had stays, and its calls are recorded once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

import tachograph
import tachograph.analytics
import tachograph.httpx
import tachograph.testing
from tachograph import Recorder
from tachograph.testing import Chat, FakeOpenRouter, failure

ASKED: dict[str, Any] = {"model": "openai/gpt-5-mini", "messages": []}


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def recorder(tmp_path: Path, server: FakeOpenRouter) -> Iterator[Recorder]:
    with Recorder(f"sqlite:///{tmp_path / 'calls.db'}", base_urls=[server.base_url]) as recorder:
        yield recorder


def made(recorder: Recorder) -> int:
    assert recorder.flush(10)
    return recorder.status().made


@pytest.mark.parametrize("hx", [httpx, httpx2])
def test_twice_is_one_recording_and_taking_it_away_leaves_the_client_as_it_was(
    hx: Any, server: FakeOpenRouter, recorder: Recorder
) -> None:
    with hx.Client(base_url=server.base_url) as client:
        before = client._transport
        assert tachograph.instrument(tachograph.instrument(client, recorder), recorder) is client
        client.post("/chat/completions", json=ASKED)
        assert made(recorder) == 1
        assert tachograph.uninstrument(client) is client
        assert client._transport is before
        client.post("/chat/completions", json=ASKED)
    assert made(recorder) == 1


@pytest.mark.parametrize("hx", [httpx, httpx2])
def test_proxies_and_mounts_stay(
    hx: Any, server: FakeOpenRouter, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = server.base_url.removesuffix("/api/v1")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
    server.script(Chat("by the proxy").plain())
    with hx.Client() as client:
        tachograph.instrument(client, recorder)
        answer = client.post("http://openrouter.ai/api/v1/chat/completions", json=ASKED)
    assert answer.json()["choices"][0]["message"]["content"] == "by the proxy"
    assert made(recorder) == 1


@pytest.mark.parametrize("hx", [httpx, httpx2])
def test_other_hosts_pass_untouched_and_unread(
    hx: Any, server: FakeOpenRouter, tmp_path: Path
) -> None:
    with Recorder(f"sqlite:///{tmp_path / 'other.db'}") as recorder, hx.Client() as client:
        tachograph.instrument(client, recorder)
        response = client.post(server.base_url + "/chat/completions", json=ASKED)
        assert "tachograph" not in type(response.stream).__module__
        assert made(recorder) == 0


def test_a_redirect_is_a_call_of_its_own(server: FakeOpenRouter, recorder: Recorder) -> None:
    moved = tachograph.testing.Answer(307, {"Location": "/api/v1/chat/completions"}, (b"",))
    server.script(moved, Chat("here").plain())
    with httpx.Client(follow_redirects=True) as client:
        tachograph.instrument(client, recorder)
        answer = client.post(server.base_url + "/chat/completions", json=ASKED)
    assert answer.status_code == 200
    assert made(recorder) == 2


def test_an_openai_client(server: FakeOpenRouter, recorder: Recorder) -> None:
    client = openai.OpenAI(base_url=server.base_url, api_key="any")
    tachograph.instrument(client, recorder)
    assert client.chat.completions.create(**ASKED).id.startswith("gen-")
    client.close()
    assert made(recorder) == 1


def test_an_async_openai_client(server: FakeOpenRouter, recorder: Recorder) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any") as client:
            tachograph.instrument(client, recorder)
            await client.chat.completions.create(**ASKED)

    asyncio.run(main())
    assert made(recorder) == 1


def test_what_holds_no_client_is_refused(recorder: Recorder) -> None:
    with pytest.raises(tachograph.TachographError, match="Path is no client of httpx or httpx2"):
        tachograph.instrument(Path(), recorder)


def test_a_failing_recorder_is_not_noticed_by_the_caller(
    server: FakeOpenRouter, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    class Strange(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> Any:
            return object()

    transport = tachograph.httpx.RecordingTransport(recorder, Strange())
    request = httpx.Request("POST", server.base_url + "/chat/completions", json=ASKED)
    assert type(transport.handle_request(request)) is object
    assert "a call could not be recorded in full" in caplog.text
    assert made(recorder) == 1


def test_pieces_that_cannot_be_read_reach_the_caller(
    server: FakeOpenRouter, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[Any]:
            yield memoryview(b'data: {"id": "gen-1"}\n\n')
            yield memoryview(b"data: [DONE]\n\n")

    class Foreign(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, stream=Body())

    transport = tachograph.httpx.RecordingTransport(recorder, Foreign())
    with httpx.Client(base_url=server.base_url, transport=transport) as client:
        assert client.post("/chat/completions", json=ASKED).content.endswith(b"[DONE]\n\n")
    assert "'memoryview' object has no attribute" in caplog.text
    assert made(recorder) == 1


def test_re_sendings_of_the_openai_sdk_are_one_operation(
    server: FakeOpenRouter, recorder: Recorder
) -> None:
    server.script(
        failure("rate_limited", retry_after=0.01), failure("edge_error"), Chat("at last").plain()
    )
    client = openai.OpenAI(base_url=server.base_url, api_key="any")
    tachograph.instrument(client, recorder)
    client.chat.completions.create(**ASKED)
    client.chat.completions.create(**ASKED)
    client.close()
    assert made(recorder) == 4
    calls = tachograph.analytics.read_calls(recorder).sort("started_at")
    first, *resent, other = calls.select("operation_id", "attempt", "resend_count").rows()
    assert resent == [(first[0], 2, 1), (first[0], 3, 2)]
    assert other[1:] == (1, 0)
    assert other[0] != first[0]
