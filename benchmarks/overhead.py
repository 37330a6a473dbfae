"""What recording adds to a call on the caller's thread, over a null transport in this process.

Bare and recorded calls are interleaved in short blocks and measured in CPU time of the thread
(a socket would add noise of hundreds of microseconds); medians over all blocks. Only the delay of a
stream's first token is measured over a socket, in time.

    python benchmarks/overhead.py            # prints the table of docs/performance.md
    python benchmarks/overhead.py --spans    # the same, with OpenTelemetry set up in the app
    python benchmarks/overhead.py --peers    # beside other instrumentations (peers/)
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import msgspec
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from peers.report import report

import tachograph
from tachograph.httpx import RecordingTransport

URL = "https://openrouter.ai/api/v1/chat/completions"
ANSWER = msgspec.json.encode(
    {
        "id": "gen-1791085542-nGPIiqI34XL7MIrdVHU3",
        "object": "chat.completion",
        "created": 1791085542,
        "model": "deepseek/deepseek-v4-pro-0813",
        "provider": "NextBit",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "native_finish_reason": "stop",
                "message": {"role": "assistant", "content": "word " * 250, "refusal": None},
            }
        ],
        "usage": {
            "prompt_tokens": 135,
            "completion_tokens": 5,
            "total_tokens": 140,
            "cost": 0.0001584,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "cost_details": {"upstream_inference_cost": 0.0001584},
            "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
        },
    }
)
REQUEST = {
    "model": "deepseek/deepseek-v4-pro-0813",
    "messages": [{"role": "user", "content": "question " * 100}],
    "temperature": 0.2,
    "max_tokens": 500,
}
ROUTED = {
    **REQUEST,
    "provider": {"sort": "price", "order": ["nextbit", "fireworks"]},
    "usage": {"include": True},
    "seed": 7,
}
CHUNK = (
    b'data: {"id":"gen-1791085542-nGPIiqI34XL7MIrdVHU3","provider":"NextBit","model":'
    b'"deepseek/deepseek-v4-pro-0813","object":"chat.completion.chunk","created":1791085542,'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":" word"},"finish_reason":null,'
    b'"native_finish_reason":null,"logprobs":null}]}\n\n'
)
LAST = CHUNK.replace(b'"finish_reason":null', b'"finish_reason":"stop"') + b"data: [DONE]\n\n"


class Body(httpx.SyncByteStream):
    """Pieces handed out one by one, as a connection would."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


class Null(httpx.BaseTransport):
    """Answers at once, without a socket."""

    def __init__(self, pieces: list[bytes], content_type: bytes) -> None:
        self._pieces = pieces
        self._headers = [
            (b"Content-Type", content_type),
            (b"X-Generation-Id", b"gen-1791085542-nGPIiqI34XL7MIrdVHU3"),
            *((b"X-Header-%d" % n, b"value") for n in range(12)),
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self._headers, stream=Body(self._pieces))


def added(
    bare: Callable[[], object],
    recorded: Callable[[], object],
    rounds: int,
    between: Callable[[], object] = lambda: None,
) -> list[float]:
    """Microseconds of thread CPU that `recorded` takes more than `bare`, a block each."""
    differences = []
    clock = time.thread_time_ns
    for _ in range(rounds):
        spent = []
        for call in (bare, recorded):
            start = clock()
            for _ in range(20):
                call()
            spent.append((clock() - start) / 20_000)
        differences.append(spent[1] - spent[0])
        between()
    return differences


def row(name: str, values: list[float], target: str) -> None:
    values = sorted(values)
    p90 = values[int(len(values) * 0.9)]
    print(f"| {name} | {statistics.median(values):.2f} | {p90:.2f} | {target} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--spans", action="store_true", help="with a tracer provider")
    parser.add_argument("--peers", action="store_true", help="beside other instrumentations")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if arguments.peers:
        report(rounds)
        return
    print("| added on the caller's thread | median | p90 | target |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'overhead.db'}"
        provider = tracer_provider() if arguments.spans else None
        recorder = tachograph.Recorder(url, tracer_provider=provider)
        plain_call(recorder, rounds)
        stream_chunks(recorder, rounds)
        finishing(recorder, rounds)
        first_token(url, provider, rounds)
        memory(recorder)
        recorder.close(10)
    import_time()


def tracer_provider() -> TracerProvider:
    """As an app has it, but for the network: spans are batched, and thrown away."""

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


def post(
    transport: httpx.BaseTransport, request: dict[str, object] = REQUEST
) -> Callable[[], httpx.Response]:
    client = httpx.Client(transport=transport)
    return lambda: client.post(URL, json=request)


def stream(transport: httpx.BaseTransport) -> Callable[[], None]:
    client = httpx.Client(transport=transport)

    def run() -> None:
        with client.stream("POST", URL, json={**REQUEST, "stream": True}) as response:
            for _ in response.iter_raw():
                pass

    return run


def plain_call(recorder: tachograph.Recorder, rounds: int) -> None:
    null = Null([ANSWER], b"application/json")
    bare, recorded = post(null), post(RecordingTransport(recorder, null))
    # a null transport calls without a pause, as no app does, and the writer works beside it all
    # the time: first with what waits stored between the blocks, then without
    row("plain call, us", added(bare, recorded, rounds, recorder.flush), "25")
    row("plain call, the writer busy, us", added(bare, recorded, rounds), "")
    bare, recorded = post(null, ROUTED), post(RecordingTransport(recorder, null), ROUTED)
    row("plain call with more fields, us", added(bare, recorded, rounds, recorder.flush), "")


def stream_chunks(recorder: tachograph.Recorder, rounds: int) -> None:
    few, many = 20, 220
    by_length = []
    for chunks in (few, many):
        null = Null([CHUNK] * chunks + [LAST], b"text/event-stream")
        recorded = stream(RecordingTransport(recorder, null))
        by_length.append(added(stream(null), recorded, max(rounds // 5, 20)))
    per_chunk = [(m - f) / (many - few) for f, m in zip(*by_length, strict=True)]
    row("stream chunk, us", per_chunk, "1")


def finishing(recorder: tachograph.Recorder, rounds: int) -> None:
    """From the last byte to the record in the journal: a part of the plain call."""
    request = httpx.Request("POST", URL, json=REQUEST)
    null = Null([ANSWER], b"application/json")
    values = []
    for _ in range(rounds * 5):
        live = recorder.begin(request)
        assert live is not None
        response = null.handle_request(request)
        live.head(200, response.headers.raw)
        live.feed(ANSWER)
        start = time.thread_time_ns()
        live.exhausted()
        values.append((time.thread_time_ns() - start) / 1000)
    row("of it finishing and journalling, us", values, "8")


def first_token(url: str, provider: TracerProvider | None, rounds: int) -> None:
    """From the server's write of the first chunk to the reader's having it, over a socket: the
    server, a process of its own, says in the chunk when it was sent."""
    program = Path(__file__).with_name("first_token_server.py")
    server = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{server.stdout.readline().strip()}/api/v1"
        with tachograph.Recorder(url, base_urls=[base_url], tracer_provider=provider) as recorder:
            bare = httpx.Client()
            recorded = httpx.Client(transport=RecordingTransport(recorder))
            both = [
                delay(recorded, base_url) - delay(bare, base_url) for _ in range(max(rounds, 30))
            ]
        row("first token of a stream, over a socket, us", both, "50")
    finally:
        server.kill()
        server.wait()


def delay(client: httpx.Client, base_url: str) -> float:
    """Microseconds from the sending of the first chunk to its arrival."""
    url = f"{base_url}/chat/completions"
    with client.stream("POST", url, json={**REQUEST, "stream": True}) as response:
        pieces = response.iter_raw()
        sent_ns = int(next(pieces).split(b'"content":"')[1].split(b'"')[0])
        arrived_ns = time.perf_counter_ns()
        for _ in pieces:
            pass
    return (arrived_ns - sent_ns) / 1000


def memory(recorder: tachograph.Recorder) -> None:
    null = Null([CHUNK] * 20_000 + [LAST], b"text/event-stream")
    run = stream(RecordingTransport(recorder, null))
    run()
    recorder.flush(10)
    gc.collect()
    tracemalloc.start()
    client = httpx.Client(transport=RecordingTransport(recorder, null))
    with client.stream("POST", URL, json={**REQUEST, "stream": True}) as response:
        pieces = response.iter_raw()
        for _ in range(1000):
            next(pieces)
        early = tracemalloc.get_traced_memory()[0]
        for _ in range(18_000):
            next(pieces)
        grown = tracemalloc.get_traced_memory()[0] - early
        for _ in pieces:
            pass
    tracemalloc.stop()
    row("memory grown over 18,000 chunks, KB", [grown / 1000], "0")


def import_time() -> None:
    def seconds(statement: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - start

    both = [
        (seconds("import httpx, tachograph") - seconds("import httpx")) * 1000 for _ in range(9)
    ]
    row("import tachograph over import httpx, ms", both, "60")


if __name__ == "__main__":
    main()
