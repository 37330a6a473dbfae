"""Recording all of the process: whichever client calls, once, and undone without a trace."""

from __future__ import annotations

import asyncio
import subprocess
import sys
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
from tachograph.cli.fetch import Fetcher
from tachograph.instrumentor import TachographInstrumentor
from tachograph.testing import FakeOpenRouter
from tests.clients import KINDS, Client, Kind

ASKED: dict[str, Any] = {"model": "openai/gpt-5-mini", "messages": []}


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def recorder(tmp_path: Path, server: FakeOpenRouter) -> Iterator[Recorder]:
    with Recorder(f"sqlite:///{tmp_path / 'calls.db'}", base_urls=[server.base_url]) as recorder:
        yield recorder
        tachograph.uninstrument_all()


def made(recorder: Recorder) -> int:
    assert recorder.flush(10)
    return recorder.status().made


def ask(kind: Kind, url: str, client: Client | None = None) -> None:
    async def main() -> None:
        async with client or kind.client() as asking:
            await asking.post(url + "/chat/completions", json=ASKED)

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_client_is_recorded_also_one_made_before(
    kind: Kind, server: FakeOpenRouter, recorder: Recorder
) -> None:
    before = kind.client()
    tachograph.instrument_all(recorder)
    ask(kind, server.base_url, before)
    ask(kind, server.base_url)
    assert made(recorder) == 2
    tachograph.uninstrument_all()
    ask(kind, server.base_url)
    assert made(recorder) == 2


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_client_with_a_recording_of_its_own_is_recorded_by_that_one_alone(
    kind: Kind, server: FakeOpenRouter, recorder: Recorder, tmp_path: Path
) -> None:
    tachograph.instrument_all(recorder)
    with Recorder(f"sqlite:///{tmp_path / 'own.db'}", base_urls=[server.base_url]) as own:
        ask(kind, server.base_url, kind.client(transport=kind.transport(own)))
        client = kind.client()
        tachograph.instrument(client.raw, own)
        ask(kind, server.base_url, client)
        assert (made(own), made(recorder)) == (2, 0)
    ask(kind, server.base_url)
    assert made(recorder) == 1


def test_a_recording_within_a_recording_is_one(server: FakeOpenRouter, recorder: Recorder) -> None:
    kind = KINDS[0]
    within = tachograph.httpx.RecordingTransport(recorder, kind.transport(recorder))
    ask(kind, server.base_url, kind.client(transport=within))
    assert made(recorder) == 1


def test_a_failed_call_does_not_hide_the_next(server: FakeOpenRouter, recorder: Recorder) -> None:
    tachograph.instrument_all(recorder)
    server.script(tachograph.testing.Answer(200, {}, (tachograph.testing.RESET,)))
    with httpx.Client() as client:
        with pytest.raises(httpx.TransportError):
            client.post(server.base_url + "/chat/completions", json=ASKED)
        client.post(server.base_url + "/chat/completions", json=ASKED)
    assert made(recorder) == 2


def test_other_hosts_pass_untouched(server: FakeOpenRouter, tmp_path: Path) -> None:
    with Recorder(f"sqlite:///{tmp_path / 'other.db'}") as recorder, httpx.Client() as client:
        tachograph.instrument_all(recorder)
        try:
            response = client.post(server.base_url + "/chat/completions", json=ASKED)
            assert "tachograph" not in type(response.stream).__module__
            assert made(recorder) == 0
        finally:
            tachograph.uninstrument_all()


def test_what_tachograph_itself_asks_is_not_recorded(
    server: FakeOpenRouter, recorder: Recorder
) -> None:
    tachograph.instrument_all(recorder)
    with Fetcher(server.base_url) as fetcher:
        fetcher.read(fetcher.url("/models"))
    assert made(recorder) == 0


def test_the_classes_are_what_they_were(recorder: Recorder) -> None:
    def methods() -> list[Any]:
        return [
            vars(transport)[method]
            for hx in (httpx, httpx2)
            for transport, method in (
                (hx.HTTPTransport, "handle_request"),
                (hx.AsyncHTTPTransport, "handle_async_request"),
            )
        ]

    before, finders = methods(), list(sys.meta_path)
    tachograph.instrument_all(recorder)
    tachograph.instrument_all(recorder)
    assert not set(before) & set(methods())
    tachograph.uninstrument_all()
    assert methods() == before
    assert sys.meta_path == finders
    tachograph.uninstrument_all()


def test_what_others_have_put_on_top_stays(
    server: FakeOpenRouter, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = httpx.HTTPTransport.handle_request
    tachograph.instrument_all(recorder)
    ours = httpx.HTTPTransport.handle_request
    seen = []

    def theirs(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return ours(self, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", theirs)
    ask(KINDS[0], server.base_url)
    tachograph.uninstrument_all()
    ask(KINDS[0], server.base_url)
    assert (len(seen), made(recorder)) == (2, 1)
    tachograph.instrument_all(recorder)
    ask(KINDS[0], server.base_url)
    assert (len(seen), made(recorder)) == (3, 2)
    monkeypatch.undo()
    tachograph.uninstrument_all()
    assert httpx.HTTPTransport.handle_request is original


def test_a_family_that_is_imported_later(server: FakeOpenRouter, tmp_path: Path) -> None:
    code = f"""
import sys, tachograph
recorder = tachograph.Recorder("sqlite:///{tmp_path / "calls.db"}")
tachograph.instrument_all(recorder)
assert "httpx2" not in sys.modules
import httpx, httpx2
for hx in (httpx, httpx2):
    hx.post("{server.base_url}/chat/completions", json={ASKED!r})
    assert hx.__spec__.loader.get_source(hx.__name__)
print(recorder.flush(), recorder.status().made)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"TACHOGRAPH_BASE_URLS": server.base_url},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("True 2\n", "")


def test_retries_of_the_openai_sdk(server: FakeOpenRouter, recorder: Recorder) -> None:
    tachograph.instrument_all(recorder)
    server.script(tachograph.testing.failure("rate_limited", retry_after=0.01))
    with openai.OpenAI(base_url=server.base_url, api_key="any") as client:
        client.chat.completions.create(**ASKED)
    assert made(recorder) == 2
    calls = tachograph.analytics.read_calls(recorder).sort("started_at")
    assert calls["resend_count"].to_list() == [0, 1]
    assert calls["resend_of"].to_list() == [None, calls["id"][0]]
    assert calls["operation_id"].n_unique() == 1


def test_the_instrumentor_of_opentelemetry(
    server: FakeOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_DB", f"sqlite:///{tmp_path / 'calls.db'}")
    monkeypatch.setenv("TACHOGRAPH_BASE_URLS", server.base_url)
    before = httpx.HTTPTransport.handle_request
    TachographInstrumentor().instrument(skip_dep_check=True)
    TachographInstrumentor().instrument()
    assert TachographInstrumentor().is_instrumented_by_opentelemetry
    ask(KINDS[0], server.base_url)
    TachographInstrumentor().uninstrument()
    TachographInstrumentor().uninstrument()
    assert httpx.HTTPTransport.handle_request is before
    calls = tachograph.analytics.read_calls(f"sqlite:///{tmp_path / 'calls.db'}")
    assert len(calls) == 1
