"""Whatever comes over the wire: no exception reaches the caller, no byte is changed, one record is
made, no number appears in it that was not in the answer, and it is the same however it was cut.

Real bodies are mutated: bytes changed, cut out, doubled, mixed with those of another endpoint,
numbers made odd. TACHOGRAPH_TEST_FUZZ says how many examples to try (`make fuzz`).
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tachograph.httpx
import tachograph.httpx2
from tachograph import Recorder
from tests.openrouter.feeding import sse
from tests.recordings import recordings

EXAMPLES = int(os.environ.get("TACHOGRAPH_TEST_FUZZ", "150"))
ROOT = "https://openrouter.ai/api/v1"
SHELLS = {httpx: tachograph.httpx, httpx2: tachograph.httpx2}

USAGE = {"prompt_tokens": 31, "completion_tokens": 17, "cost": 0.000123, "seconds": 9.5}
CHUNK = {"id": "gen-1", "model": "m", "choices": [{"delta": {"content": "ä😀"}}]}
MESSAGE = {"id": "gen-2", "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "cost": 0.25}}
OWN = [
    ("/chat/completions", sse(CHUNK, {**CHUNK, "usage": USAGE}, b"[DONE]")),
    ("/embeddings", json.dumps({"data": [{"embedding": [0.5] * 99}], "usage": USAGE}).encode()),
    ("/messages", sse({"type": "message_start", "message": MESSAGE})),
    ("/messages", sse({"type": "message_delta", "delta": {"stop_reason": "x"}, **MESSAGE})),
    ("/responses", sse({"type": "response.completed", "response": MESSAGE})),
    ("/images", sse({"type": "image_generation.completed", "b64_json": "AA", "usage": USAGE})),
    ("/videos/job-1", json.dumps({"id": "j", "status": "completed", "usage": USAGE}).encode()),
    ("/generation", json.dumps({"data": {"total_cost": 2}, "usage": USAGE}).encode()),
]
BODIES = [*OWN, *{(r.path, r.body) for r in recordings() if len(r.body) < 8_000}]
REQUESTS = [b'{"model":"a/b","stream":true,"provider":{"order":["x"]},"max_tokens":99}'] + [
    r.request_body for r in recordings() if r.request_body
]
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
ODD_NUMBERS = [b"1e999999999", b"-1", b"9" * 40, b"0.1e-40", b"1e5", b"null", b'"7"', b"{}", b"1.5"]
PIECES = [
    b"",
    b"\xef\xbb\xbf",
    b"\n",
    b"\n\n",
    b"\r",
    b"data: ",
    b"[DONE]",
    b"\0",
    b"\xff",
    b"\\ud83d",
    b"[" * 3000,
]
PIECES += [b'"', b"{", b"}", b"[", b"]", b",", b":", b'"usage":{"cost":1}', b'"error":{"code":402}']

indexes = st.integers(0, 2**31)


@st.composite
def mutated(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """One of the bodies, changed in a few places."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(indexes) % (len(body) + 1)
        to = min(len(body), at + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["cut", "put", "double", "end", "mix", "number", "member"]))
        if kind == "cut":
            body = body[:at] + body[to:]
        elif kind == "put":
            body = body[:at] + draw(st.sampled_from(PIECES)) + body[at:]
        elif kind == "double":
            body = body[:to] + body[at:]
        elif kind == "end":
            body = body[:at]
        elif kind == "mix":
            other = draw(st.sampled_from(bodies))
            body = body[:at] + other[draw(indexes) % (len(other) + 1) :]
        else:
            marks = list((NUMBER if kind == "number" else _MEMBER).finditer(body))
            if marks:
                mark = marks[draw(indexes) % len(marks)]
                body = (
                    body[: mark.start()] + draw(st.sampled_from(ODD_NUMBERS)) + body[mark.end() :]
                )
    return body


_MEMBER = re.compile(rb'(?<=":)("[^"\\]*"|\[[^][]*\]|\{[^{}]*\})')


class Exchange(NamedTuple):
    path: str
    request: bytes
    status: int
    kind: str
    coding: str
    body: bytes
    pieces: list[bytes]

    def __repr__(self) -> str:
        cuts = [len(piece) for piece in self.pieces]
        return f"{self[:-2]} {self.body[:8000]!r} in {cuts}"


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    path, own = draw(st.sampled_from(BODIES))
    body = draw(mutated([own, *(other for _, other in BODIES)] if draw(st.booleans()) else [own]))
    stream = body.lstrip().startswith((b"data:", b"event:", b":"))
    kinds = ["text/event-stream", "application/json"]
    kind = draw(st.sampled_from([*([kinds[not stream]] * 8), *kinds, "text/html", "audio/mpeg"]))
    coding = draw(st.sampled_from(["", "", "gzip"]))
    sent = gzip.compress(body, mtime=0) if coding else body
    if coding and draw(st.booleans()):
        sent = sent[: draw(indexes) % (len(sent) + 1)]
    at = sorted(draw(indexes) % (len(sent) + 1) for _ in range(draw(st.integers(0, 8))))
    pieces = [sent[a:b] for a, b in zip([0, *at], [*at, len(sent)], strict=True)]
    status = draw(st.sampled_from([200, 200, 200, 202, 400, 402, 429, 502]))
    return Exchange(path, draw(mutated(REQUESTS)), status, kind, coding, body, pieces)


class Bench:
    """Clients of both families under a recorder, over transports that say what they are told."""

    def __init__(self, folder: Path) -> None:
        self.recorder = Recorder(f"sqlite:///{folder / 'calls.db'}")
        self.logged: list[str] = []
        self.handler = logging.Handler()
        self.handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("tachograph").addHandler(self.handler)
        self.exchange: Exchange
        self.pieces: list[bytes] = []
        self.received = b""
        self.clients = [self._client(hx) for hx in SHELLS]
        self.database = sqlite3.connect(folder / "calls.db")
        self.database.row_factory = sqlite3.Row
        self.seen = 0

    def _client(self, hx: Any) -> Any:
        bench = self

        class Stream(hx.SyncByteStream):  # type: ignore[misc]
            def __iter__(self) -> Iterator[bytes]:
                return iter(bench.pieces)

        class Transport(hx.BaseTransport):  # type: ignore[misc]
            def handle_request(self, request: Any) -> Any:
                bench.received = request.content
                exchange = bench.exchange
                headers = {"content-type": exchange.kind}
                if exchange.coding:
                    headers["content-encoding"] = exchange.coding
                return hx.Response(exchange.status, headers=headers, stream=Stream())

        transport = SHELLS[hx].RecordingTransport(self.recorder, Transport())
        return hx.Client(transport=transport)

    def send(self, exchange: Exchange) -> list[sqlite3.Row]:
        """Both rows of an exchange: cut as it says, and in one piece."""
        self.exchange = exchange
        for client, pieces in zip(
            self.clients, (exchange.pieces, [b"".join(exchange.pieces)]), strict=True
        ):
            self.pieces = pieces
            sending = client.stream("POST", ROOT + exchange.path, content=exchange.request)
            with sending as response:
                assert list(response.iter_raw()) == [p for p in pieces if p]
            assert self.received == exchange.request
        assert self.recorder.flush()
        rows = list(self.database.execute("SELECT * FROM calls ORDER BY id DESC LIMIT 2"))
        self.seen += 2
        status = self.recorder.status()
        assert (status.made, status.stored, status.dropped) == (self.seen, self.seen, {})
        assert self.logged == []
        return rows

    def close(self) -> None:
        logging.getLogger("tachograph").removeHandler(self.handler)
        self.database.close()
        for client in self.clients:
            client.close()
        self.recorder.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("fuzz"))
    yield bench
    bench.close()


COUNTS = (
    "output",
    "total",
    "cache_read_input",
    "cache_write_input",
    "cache_write_1h_input",
    "reasoning_output",
    "audio_input",
    "video_input",
    "image_output",
    "audio_output",
)
MONEY = ("billed_picousd", "upstream_picousd", "upstream_input_picousd", "upstream_output_picousd")
_WIDE = Context(prec=60)


OF_ONE = {"id", "operation_id", "attempt", "resend_count", "resend_of", "started_us", "sdk"}


def facts_of(row: sqlite3.Row) -> dict[str, Any]:
    """What does not differ from one sending to the next."""
    facts = {name: row[name] for name in row.keys() if name not in OF_ONE}  # noqa: SIM118
    return {name: v is not None if name.endswith("_seconds") else v for name, v in facts.items()}


def numbers_of(body: bytes) -> set[Decimal]:
    return {Decimal(number.decode()) for number in NUMBER.findall(body)}


def assert_nothing_invented(row: sqlite3.Row, exchange: Exchange) -> None:
    there = numbers_of(exchange.body)
    said = {name: row[f"{name}_tokens"] for name in COUNTS}
    said |= {name: row[name] for name in ("search_units", "web_searches")}
    for name, value in said.items():
        assert value is None or Decimal(value) in there, name
    if row["input_tokens"] is not None:
        parts = {Decimal(0)}
        if exchange.path == "/messages":
            parts |= {n for n in there if abs(n.adjusted()) < 30}
        sums = {a + b for a in parts for b in parts}
        assert any(row["input_tokens"] - part in there for part in sums)
    pico = {
        n.quantize(Decimal("1E-12"), ROUND_HALF_EVEN, _WIDE).scaleb(12)
        for n in there
        if n.adjusted() < 20
    }
    for name in MONEY:
        assert row[name] is None or Decimal(row[name]) in pico, name
    if row["audio_seconds"] is not None:
        assert row["audio_seconds"] in {float(n) for n in there if n.adjusted() < 300}
    if row["usage_extra"] is not None:
        assert numbers_of(_values(row["usage_extra"])) <= there


def _values(text: str) -> bytes:
    """The numbers of a JSON text, in the form that they have there."""
    found: list[str] = []
    json.loads(text, parse_float=found.append, parse_int=found.append)
    return " ".join(found).encode()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(exchange=exchanges())
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_whatever_comes(bench: Bench, exchange: Exchange) -> None:
    rows = bench.send(exchange)
    if "/videos" not in exchange.path:  # a job tells its cost once
        assert facts_of(rows[0]) == facts_of(rows[1])
    for row in rows:
        assert_nothing_invented(row, exchange)
        assert row["outcome"] in ("completed", "failed")
        assert (row["outcome"] == "failed") >= (exchange.status >= 400)
        assert row["http_status"] == exchange.status
        assert row["response_bytes"] == sum(map(len, exchange.pieces))


def test_the_fuzzing_finds_an_invented_number(bench: Bench) -> None:
    path, body = OWN[0]
    exchange = Exchange(path, b"{}", 200, "text/event-stream", "", body, [body])
    row = bench.send(exchange)[0]
    assert (row["output_tokens"], row["billed_picousd"]) == (17, 123_000_000)
    with pytest.raises(AssertionError):
        assert_nothing_invented(row, exchange._replace(body=body.replace(b"17", b"18")))
