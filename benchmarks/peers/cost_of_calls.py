"""What a peer and tachograph add to calls of the openai SDK; run in the peer's environment.

Bare, peer's and ours are interleaved in short blocks over a transport without a socket. Both
export or store what they record: the peer to an OTLP endpoint on this machine, in another process,
and tachograph into SQLite.

    cd benchmarks; python -m peers.cost_of_calls PEER ROUNDS     # prints JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from peers.exchanges import MODEL, Scripted, events, plain
from peers.instrumentations import Peer

import tachograph

CALLS = 20
SINK = """
import http.server
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"""
QUESTION = [{"role": "user", "content": "question " * 100}]

Run = Callable[[], object]
Turn = Callable[[], object]


def client(transport: Scripted) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="sk-or-v1-none",
        base_url="https://openrouter.ai/api/v1",
        http_client=openai.DefaultHttpxClient(transport=transport),
    )


def calls(of: openai.OpenAI, *, stream: bool) -> Run:
    def run() -> None:
        answer = of.chat.completions.create(
            model=MODEL,
            messages=QUESTION,  # type: ignore[arg-type]
            temperature=0.2,
            max_tokens=500,
            stream=stream,
        )
        if stream:
            for _ in answer:
                pass

    return run


def added(
    rounds: int, ways: dict[str, tuple[Run, Turn, Turn]], clock: Callable[[], int]
) -> dict[str, float]:
    """Microseconds a call, by way: the medians over all rounds, and what is above "bare".

    With the clock of the process a block ends when all is exported or stored.
    """
    whole = clock is time.process_time_ns
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (run, before, after) in ways.items():
            before()
            start = clock()
            for _ in range(CALLS * (10 if whole else 1)):
                run()
            if whole:
                after()
            spent[name].append((clock() - start) / 1000 / (CALLS * (10 if whole else 1)))
            after()
    over_bare = {
        name: median(mine - bare for mine, bare in zip(values, spent["bare"], strict=True))
        for name, values in spent.items()
    }
    return {"bare call": median(spent["bare"]), **over_bare}


def measured(peer: Peer, recorder: tachograph.Recorder, rounds: int) -> dict[str, dict[str, float]]:
    """By kind of call and by clock."""

    def on() -> None:
        peer.turn(on=True)

    def off() -> None:
        peer.turn(on=False)
        peer.provider.force_flush()

    told = {}
    for stream in (False, True):
        transport = Scripted(events() if stream else plain())
        bare = calls(client(transport), stream=stream)
        ours = calls(tachograph.instrument(client(transport), recorder), stream=stream)
        ways: dict[str, tuple[Run, Turn, Turn]] = {
            "bare": (bare, int, int),
            "peer": (bare, on, off),
            "ours": (ours, int, recorder.flush),
        }
        kind = "stream" if stream else "plain"
        added(3, ways, time.thread_time_ns)
        told[f"{kind}, caller's thread"] = added(rounds, ways, time.thread_time_ns)
        told[f"{kind}, process"] = added(max(rounds // 10, 3), ways, time.process_time_ns)
    return told


def main() -> None:
    name, rounds = sys.argv[1], int(sys.argv[2])
    sink = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout is not None
        endpoint = f"http://127.0.0.1:{sink.stdout.readline().strip()}/v1/traces"
        peer = Peer(name, OTLPSpanExporter(endpoint=endpoint))
        with tempfile.TemporaryDirectory() as folder:
            recorder = tachograph.Recorder(f"sqlite:///{Path(folder) / 'calls.db'}")
            told = measured(peer, recorder, rounds)
            recorder.close(10)
    finally:
        sink.kill()
        sink.wait()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
