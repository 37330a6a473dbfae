"""The demo's four apps: plain httpx and the openai SDK, each sync and async, each recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, closing, nullcontext, suppress
from importlib.util import find_spec
from typing import Any

import httpx

import tachograph
from tachograph.demo.plan import Ask, Job
from tachograph.httpx import AsyncRecordingTransport, RecordingTransport

AT_ONCE = 3
"""Jobs that one app has in hand at the same time."""

PIECES_READ = 8
"""Of a stream that its reader leaves early."""

SENT_AGAIN = (429, 502)

App = Callable[[str, tachograph.Recorder, Sequence[Job], Callable[[], object]], None]
"""Does its jobs against a base URL; calls the last argument after each request."""


def openai_installed() -> bool:
    return find_spec("openai") is not None


def run(
    base_url: str, recorder: tachograph.Recorder, jobs: Sequence[Job], done: Callable[[], object]
) -> None:
    """All apps at once, those of openai where it is installed; each takes its share of the jobs."""
    running: tuple[App, ...] = (httpx_app, async_httpx_app)
    if openai_installed():
        running += (openai_app, async_openai_app)
    with ThreadPoolExecutor(len(running)) as pool:
        shares = [
            pool.submit(app, base_url, recorder, jobs[number :: len(running)], done)
            for number, app in enumerate(running)
        ]
    for share in shares:
        share.result()


def httpx_app(
    base_url: str, recorder: tachograph.Recorder, jobs: Sequence[Job], done: Callable[[], object]
) -> None:
    """Gives its client a recording transport. Sends a request again after a 429 or a 502."""

    def send(ask: Ask) -> None:
        request = client.build_request(
            "POST", "chat/completions", json=ask.body, headers=ask.headers
        )
        for _ in range(2):
            with closing(client.send(request, stream=True)) as response:
                for number, _ in enumerate(response.iter_bytes()):
                    if ask.leaves_early and number == PIECES_READ:
                        return
            if response.status_code not in SENT_AGAIN:
                return

    with httpx.Client(base_url=base_url, transport=RecordingTransport(recorder)) as client:
        _in_threads(recorder, jobs, send, httpx.TransportError, done)


def async_httpx_app(
    base_url: str, recorder: tachograph.Recorder, jobs: Sequence[Job], done: Callable[[], object]
) -> None:
    """The same, asynchronous."""

    async def main() -> None:
        async with httpx.AsyncClient(
            base_url=base_url, transport=AsyncRecordingTransport(recorder)
        ) as client:

            async def send(ask: Ask) -> None:
                request = client.build_request(
                    "POST", "chat/completions", json=ask.body, headers=ask.headers
                )
                for _ in range(2):
                    async with aclosing(await client.send(request, stream=True)) as response:
                        number = 0
                        pieces: Any = response.aiter_bytes()
                        async with aclosing(pieces):
                            async for _ in pieces:
                                number += 1
                                if ask.leaves_early and number == PIECES_READ:
                                    return
                    if response.status_code not in SENT_AGAIN:
                        return

            await _in_tasks(recorder, jobs, send, httpx.TransportError, done)

    asyncio.run(main())


def openai_app(
    base_url: str, recorder: tachograph.Recorder, jobs: Sequence[Job], done: Callable[[], object]
) -> None:
    """Instruments the SDK's client. The SDK itself sends again what failed."""
    import openai

    def send(ask: Ask) -> None:
        answer = client.chat.completions.create(**_arguments(ask))
        if ask.body.get("stream"):
            with answer:
                for number, _ in enumerate(answer):
                    if ask.leaves_early and number == PIECES_READ:
                        return

    with openai.OpenAI(base_url=base_url, api_key="demo") as client:
        tachograph.instrument(client, recorder)
        _in_threads(recorder, jobs, send, openai.APIError, done)


def async_openai_app(
    base_url: str, recorder: tachograph.Recorder, jobs: Sequence[Job], done: Callable[[], object]
) -> None:
    """The same, asynchronous."""
    import openai

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=base_url, api_key="demo") as client:
            tachograph.instrument(client, recorder)

            async def send(ask: Ask) -> None:
                answer = await client.chat.completions.create(**_arguments(ask))
                if ask.body.get("stream"):
                    async with answer:
                        number = 0
                        async for _ in answer:
                            number += 1
                            if ask.leaves_early and number == PIECES_READ:
                                return

            await _in_tasks(recorder, jobs, send, openai.APIError, done)

    asyncio.run(main())


def _arguments(ask: Ask) -> dict[str, Any]:
    """The request as the SDK takes it: what only OpenRouter knows goes into `extra_body`."""
    known = ("model", "messages", "stream", "max_tokens", "temperature", "tools", "tool_choice")
    extra = {name: value for name, value in ask.body.items() if name not in known}
    arguments = {name: value for name, value in ask.body.items() if name in known}
    return {**arguments, "extra_body": extra, "extra_headers": ask.headers}


def _operation(recorder: tachograph.Recorder, job: Job) -> AbstractContextManager[None]:
    return recorder.operation(**job.operation) if job.operation else nullcontext()


def _in_threads(
    recorder: tachograph.Recorder,
    jobs: Sequence[Job],
    send: Callable[[Ask], None],
    expected: type[Exception],
    done: Callable[[], object],
) -> None:
    def work(job: Job) -> None:
        with _operation(recorder, job):
            for ask in job.asks:
                with suppress(expected):
                    send(ask)
                done()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(work, jobs):
            pass


async def _in_tasks(
    recorder: tachograph.Recorder,
    jobs: Sequence[Job],
    send: Callable[[Ask], Any],
    expected: type[Exception],
    done: Callable[[], object],
) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def work(job: Job) -> None:
        async with free:
            with _operation(recorder, job):
                for ask in job.asks:
                    with suppress(expected):
                        await send(ask)
                    done()

    await asyncio.gather(*(work(job) for job in jobs))
