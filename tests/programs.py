"""Programs that record, each a process of its own: what becomes of calls at a fork and at exit.

python programs.py NAME DATABASE_URL BASE_URL
"""

from __future__ import annotations

import asyncio
import os
import sys

import httpx

from tachograph import Recorder
from tachograph.httpx import AsyncRecordingTransport, RecordingTransport

ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}


def call(recorder: Recorder, base_url: str, times: int) -> None:
    with httpx.Client(transport=RecordingTransport(recorder)) as client:
        for _ in range(times):
            client.post(base_url + "/chat/completions", json=ASKED).raise_for_status()


def work(recorder: Recorder, base_url: str, times: int) -> None:
    """Calls, and waits until they are stored: a writer that cannot is told on stderr."""
    call(recorder, base_url, times)
    assert recorder.flush(60)


def fork(url: str, base_url: str) -> None:
    """Parent and child go on recording; the child's child as well."""
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 5)
    child = os.fork()
    if not child:
        work(recorder, base_url, 7)
        grandchild = os.fork()
        if not grandchild:
            work(recorder, base_url, 11)
            return
        os.waitpid(grandchild, 0)
        return
    call(recorder, base_url, 13)
    os.waitpid(child, 0)


def outliving_fork(url: str, base_url: str) -> None:
    """The child goes on after its parent has closed the recorder, and SQLite's last connection of
    the parent's has taken the write-ahead log away."""
    recorder = Recorder(url, base_urls=[base_url])
    work(recorder, base_url, 1)
    parent_closed, close = os.pipe()
    child_stored, tell = os.pipe()
    child = os.fork()
    if not child:
        work(recorder, base_url, 1)
        os.write(tell, b"1")
        os.read(parent_closed, 1)
        work(recorder, base_url, 20)
        return
    os.read(child_stored, 1)
    assert recorder.close(60)
    os.write(close, b"1")
    os.waitpid(child, 0)


def silent_fork(url: str, base_url: str) -> None:
    """A child that makes no call leaves what is its parent's alone."""
    recorder = Recorder(url, base_urls=[base_url])
    call(recorder, base_url, 5)
    child = os.fork()
    if not child:
        recorder.flush()
        recorder.close()
        return
    os.waitpid(child, 0)
    call(recorder, base_url, 5)


def exit_in_mid_stream(url: str, base_url: str) -> None:
    recorder = Recorder(url, base_urls=[base_url])
    client = httpx.Client(transport=RecordingTransport(recorder))
    request = client.build_request(
        "POST", base_url + "/chat/completions", json={**ASKED, "stream": True}
    )
    response = client.send(request, stream=True)
    next(response.iter_raw())
    kept.append(response)


kept: list[httpx.Response] = []


def one_shots(url: str, base_url: str) -> None:
    """Each with an event loop of its own, and nothing is closed."""
    recorder = Recorder(url, base_urls=[base_url])

    async def one() -> None:
        client = httpx.AsyncClient(transport=AsyncRecordingTransport(recorder))
        await client.post(base_url + "/chat/completions", json=ASKED)

    for _ in range(5):
        asyncio.run(one())


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
