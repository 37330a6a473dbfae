"""A million calls through one recorder: does memory grow, does a file or a thread leak?

    python benchmarks/soak.py [--calls 1000000]        # or: make soak

Two plain calls to one stream and one of asyncio. Fails when resident memory grows by more than 5 MB
after the warm-up, when a call is not stored, or when a thread, a task, an open file or a journal is
left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from overhead import ANSWER, CHUNK, LAST, URL, Null

import tachograph
from tachograph.httpx import AsyncRecordingTransport, RecordingTransport

GROWTH_BYTES = 5_000_000
ASKED = {"model": "deepseek/deepseek-v4-pro", "messages": []}
WAVES = 20
"""How often memory is looked at; the first quarter is the warm-up."""


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    wave = parser.parse_args().calls // WAVES // 16 * 16
    files, threads = open_files(), threading.active_count()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "soak.db"
        recorder = tachograph.Recorder(f"sqlite:///{file}")
        warm = tasks = 0
        for number in range(WAVES):
            run(recorder, wave - wave // 4)
            tasks += asyncio.run(run_async(recorder, wave // 4))
            if not recorder.flush(120):
                sys.exit("the writer does not keep up")
            gc.collect()
            resident = resident_bytes()
            if number == WAVES // 4 - 1:
                warm = resident
            print(f"{(number + 1) * wave:>9,} calls  {resident / 1e6:7.1f} MB", flush=True)
        status = recorder.status()
        recorder.close(30)
        left = list(file.with_name(file.name + ".journal").iterdir())
    grown = resident - warm
    print(f"grown after the warm-up: {grown / 1e6:.1f} MB; {status}")
    bad = [
        grown > GROWTH_BYTES,
        status.stored != wave * WAVES,
        bool(status.dropped),
        bool(left),
        open_files() > files,
        threading.active_count() > threads,
        tasks > 0,
    ]
    return int(any(bad))


def run(recorder: tachograph.Recorder, calls: int) -> None:
    """Two plain calls to one stream."""
    plain = httpx.Client(
        transport=RecordingTransport(recorder, Null([ANSWER], b"application/json"))
    )
    chunks = Null([CHUNK] * 5 + [LAST], b"text/event-stream")
    streamed = httpx.Client(transport=RecordingTransport(recorder, chunks))
    for number in range(calls):
        if number % 3:
            plain.post(URL, json=ASKED)
        else:
            with streamed.stream("POST", URL, json={**ASKED, "stream": True}) as response:
                for _ in response.iter_raw():
                    pass
        keep_up(recorder, number)


class AsyncNull(httpx.AsyncBaseTransport):
    """Answers at once, without a socket."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers={"Content-Type": "application/json"}, stream=AsyncBody([ANSWER])
        )


class AsyncBody(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def run_async(recorder: tachograph.Recorder, calls: int) -> int:
    """In an event loop of its own, four at a time; the tasks that are left."""
    transport = AsyncRecordingTransport(recorder, AsyncNull())
    async with httpx.AsyncClient(transport=transport) as client:
        for number in range(calls // 4):
            await asyncio.gather(*(client.post(URL, json=ASKED) for _ in range(4)))
            keep_up(recorder, number * 4)
    return len(asyncio.all_tasks()) - 1


def keep_up(recorder: tachograph.Recorder, number: int) -> None:
    """A null transport calls faster than any disk can store."""
    if number % 2000 == 0:
        recorder.flush(120)


if __name__ == "__main__":
    sys.exit(main())
