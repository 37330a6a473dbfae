"""What a peer, or tachograph, records of exchanges whose truth is known; run in its environment.

cd benchmarks; python -m peers.truth PEER     # prints JSON: what was found, by exchange
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import openai
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from peers.cost_of_calls import QUESTION, client
from peers.exchanges import ERROR_INSIDE, MODEL, RATE_LIMITED, Scripted, events, plain

import tachograph

Facts = list[dict[str, Any]]


def asked(of: openai.OpenAI, *, stream: bool = False, read: int | None = None) -> None:
    """One call, of which so many events are read; its error is the caller's and no matter here."""
    with suppress(openai.OpenAIError):
        answer = of.chat.completions.create(
            model=MODEL,
            messages=QUESTION,  # type: ignore[arg-type]
            stream=stream,
        )
        if stream:
            for n, _ in enumerate(answer):
                if n == read:
                    assert isinstance(answer, openai.Stream)
                    answer.close()
                    return


EXCHANGES: dict[str, Callable[[Callable[[Scripted], openai.OpenAI]], None]] = {
    "plain": lambda make: asked(make(Scripted(plain()))),
    "stream": lambda make: asked(make(Scripted(events())), stream=True),
    "429, 429, 200": lambda make: asked(make(Scripted(RATE_LIMITED, RATE_LIMITED, plain()))),
    "left early": lambda make: asked(make(Scripted(events())), stream=True, read=5),
    "first token at 405 ms": lambda make: asked(
        make(Scripted(events(), pause_before={0: 0.005, 1: 0.4})), stream=True
    ),
    "error inside a 200": lambda make: asked(make(Scripted(ERROR_INSIDE))),
}


def of_spans(spans: tuple[ReadableSpan, ...]) -> Facts:
    told = []
    for span in spans:
        assert span.start_time is not None
        started = span.start_time
        ended = span.end_time or started
        events_at = [
            (event.name, round((event.timestamp - started) / 1e6)) for event in span.events
        ]
        attributes: dict[str, Any] = dict(span.attributes or {})
        told.append(
            {
                "name": span.name,
                "status": span.status.status_code.name,
                "milliseconds": round((ended - started) / 1e6),
                "events_at_milliseconds": events_at,
                "first_token_at_milliseconds": _langfuse_first_token(attributes, started),
                "has cost in": [
                    name for name, value in attributes.items() if "0.00123" in str(value)
                ],
                **{
                    name: value if len(str(value)) < 300 else f"{str(value)[:40]}... and more"
                    for name, value in attributes.items()
                },
            }
        )
    return told


def _langfuse_first_token(attributes: dict[str, Any], started_ns: int) -> int | None:
    text = attributes.get("langfuse.observation.completion_start_time")
    if text is None:
        return None
    return round(datetime.fromisoformat(json.loads(text)).timestamp() * 1000 - started_ns / 1e6)


def by_peer(name: str) -> dict[str, Facts]:
    from peers.instrumentations import Peer

    exporter = InMemorySpanExporter()
    peer = Peer(name, exporter)
    peer.turn(on=True)
    told = {}
    for exchange, run in EXCHANGES.items():
        run(client)
        peer.provider.force_flush()
        told[exchange] = of_spans(exporter.get_finished_spans())
        exporter.clear()
    return told


def by_us() -> dict[str, Facts]:
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        for n, (exchange, run) in enumerate(EXCHANGES.items()):
            path = Path(folder) / f"{n}.db"
            with tachograph.Recorder(f"sqlite:///{path}") as recorder:

                def recorded(
                    transport: Scripted, by: tachograph.Recorder = recorder
                ) -> openai.OpenAI:
                    return tachograph.instrument(client(transport), by)

                run(recorded)
                recorder.flush()
            rows = sqlite3.connect(path)
            rows.row_factory = sqlite3.Row
            told[exchange] = [
                {name: row[name] for name in row.keys() if row[name] is not None}  # noqa: SIM118
                for row in rows.execute("SELECT * FROM call_log ORDER BY started_at")
            ]
            rows.close()
    return told


def main() -> None:
    name = sys.argv[1]
    found = by_us() if name == "tachograph" else by_peer(name)
    sys.stdout.write(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
