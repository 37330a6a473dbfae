"""PostgreSQL is away, and the recorder is restarted meanwhile: nothing is lost, nothing doubled.

Calls go on at 100 a second, each beside one that nobody records, so that what recording adds can be
told. Short here; `make outage` asks for ten minutes through TACHOGRAPH_TEST_OUTAGE (seconds).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import quantiles

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from tachograph import Recorder
from tachograph.httpx import RecordingTransport
from tachograph.store import migrate, writer
from tachograph.store.database import open_engine
from tests.crash.outage import Wire

SECONDS = float(os.environ.get("TACHOGRAPH_TEST_OUTAGE", "2"))
RATE = 100
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
URL = "https://openrouter.ai/api/v1/chat/completions"


class Answers(httpx.BaseTransport):
    """Answers at once, each time with another id: a socket's noise would hide what is measured."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers = count()
        self.last = ""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.last = f"gen-{self._name}-{next(self._numbers)}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": "word " * 100}}
        usage = {"prompt_tokens": 135, "completion_tokens": 100, "cost": 0.0001584}
        body = {"id": self.last, "model": ASKED["model"], "choices": [choice], "usage": usage}
        return httpx.Response(
            200,
            headers={"Content-Type": "application/json"},
            stream=Body(msgspec.json.encode(body)),
        )


class Body(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


class Caller:
    """Calls without a recorder and with one, turn about; how long each took: by the clock, which
    also counts what other programs take, and in CPU time of the thread."""

    def __init__(self) -> None:
        self.bare: list[tuple[float, float]] = []
        self.recorded: list[tuple[float, float]] = []
        self.seen: list[str] = []
        self._nobody = httpx.Client(transport=Answers("bare"))
        self._recorders = count()

    def call(self, recorder: Recorder, seconds: float) -> None:
        """At RATE for so long."""
        answers = Answers(str(next(self._recorders)))
        recorded = httpx.Client(transport=RecordingTransport(recorder, answers))
        began = time.monotonic()
        for number in range(int(seconds * RATE)):
            pairs = [(self._nobody, self.bare), (recorded, self.recorded)]
            for client, times in pairs if number % 2 else reversed(pairs):
                start, cpu = time.perf_counter(), time.thread_time()
                client.post(URL, json=ASKED)
                times.append((time.perf_counter() - start, time.thread_time() - cpu))
            self.seen.append(answers.last)
            time.sleep(max(0.0, began + (number + 1) / RATE - time.monotonic()))

    def report(self, phase: str) -> str:
        """In milliseconds; what follows is counted anew."""
        lines = [f"{phase}: {len(self.recorded)} calls"]
        for at, clock in enumerate(("wall", "CPU")):
            p99 = []
            for name, times in (("bare", self.bare), ("recorded", self.recorded)):
                taken = [pair[at] * 1e3 for pair in times]
                cuts = quantiles(taken, n=100)
                p99.append(cuts[98])
                lines.append(
                    f"  {clock} {name:9} p50 {cuts[49]:6.3f}  p99 {cuts[98]:6.3f}"
                    f"  max {max(taken):6.3f}"
                )
            lines.append(f"  {clock} added at p99: {p99[1] - p99[0]:.3f} (target: less than 1)")
        self.bare, self.recorded = [], []
        return "\n".join(lines) + "\n"


def test_postgresql_goes_away_and_returns(
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path))
    if SECONDS < 60:
        monkeypatch.setattr(writer, "LONGEST_BACK_OFF_SECONDS", 0.1)
    direct = sa.make_url(postgres_url)
    engine = open_engine(direct)
    migrate.upgrade(engine)
    assert direct.port is not None
    wire = Wire(direct.port)
    url = direct.set(port=wire.port).render_as_string(hide_password=False)
    caller = Caller()
    first = Recorder(url)
    caller.call(first, max(0.5, SECONDS / 20))
    assert first.flush(20)
    reports = [caller.report("before")]
    wire.cut()
    caller.call(first, SECONDS / 2)
    reports.append(caller.report("away"))
    assert not first.close(0.2)  # what waits stays in its journal
    second = Recorder(url)
    caller.call(second, SECONDS / 2)
    assert not second.flush(0.2)
    reports.append(caller.report("away, after a restart of the recorder"))
    wire.restore()
    caller.call(second, max(0.5, SECONDS / 20))
    assert second.flush(60)
    reports.append(caller.report("back"))
    made = second.status().made
    assert second.status()[:4] == (made, made, 0, {})
    assert second.close(20)
    with Recorder(url) as third:  # adopts what the first one left
        assert third.flush(60)
    with engine.connect() as connection:
        stored = connection.execute(sa.text("SELECT generation_id FROM calls")).scalars().all()
    engine.dispose()
    wire.close()
    assert sorted(stored) == sorted(caller.seen)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    if SECONDS >= 60:
        with capsys.disabled():
            sys.stdout.write(f"\n{''.join(reports)}0 of {len(stored)} lost, 0 doubled\n")
