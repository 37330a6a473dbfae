"""Bills that did not come are asked for with the caller's own key, within bounds, and filled in."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph import Recorder, lookups
from tachograph.httpx import RecordingTransport
from tachograph.lookups import Lookups
from tachograph.store import reconciliations
from tachograph.testing import Answer, Chat, FakeOpenRouter, Hold, Request, usage

KEY = "sk-or-v1-00112233445566778899aabbccddeeff"
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
STREAMED = {**ASKED, "stream": True}
CHAT = Chat("one two three")
ABSENT = Answer.json({"error": {"code": 404, "message": "Generation not found"}}, status=404)
FOUND = Answer.json(
    {
        "data": {
            "id": CHAT.id,
            "total_cost": 0.00003452,
            "is_byok": False,
            "provider_name": "OpenAI",
            "native_tokens_prompt": 7,
            "native_tokens_completion": 3,
        }
    }
)


class Bench:
    """A recorder that looks bills up at a stand-in, which answers `/generation` as it is told."""

    def __init__(self, folder: Path, *answers: Answer, **options: Any) -> None:
        self.folder = folder
        self.answers = list(answers)
        self.server = FakeOpenRouter(self._respond)
        self.recorder = Recorder(
            f"sqlite:///{folder / 'calls.db'}",
            base_urls=[self.server.base_url],
            **{"reconcile": True, **options},
        )
        self.client = httpx.Client(
            base_url=self.server.base_url,
            transport=RecordingTransport(self.recorder),
            headers={"Authorization": f"Bearer {KEY}"},
        )

    def _respond(self, request: Request, own: Answer) -> Answer:
        if request.path.endswith("/generation"):
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is FOUND:  # so that its row is there
                assert self.recorder.flush(20)
            return answer
        return CHAT.stream() if request.json().get("stream") else CHAT.plain()

    def leave_early(self) -> None:
        """A call whose bill does not come: its stream is left after the first piece."""
        with self.client.stream("POST", "/chat/completions", json=STREAMED) as response:
            next(response.iter_raw())

    @property
    def questions(self) -> list[Request]:
        return [r for r in self.server.requests if r.path.endswith("/generation")]

    @property
    def lookups(self) -> Lookups:
        found = self.recorder._lookups
        assert found is not None
        return found

    def settle(self) -> None:
        """Until nothing is asked for any more."""
        wait_until(lambda: not self.lookups.waiting)

    def rows(self, query: str = "SELECT * FROM calls") -> list[dict[str, Any]]:
        assert self.recorder.flush(20)
        connection = sqlite3.connect(self.folder / "calls.db")
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(query)]
        connection.close()
        return found

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.recorder.close(10)


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """Makes benches whose questions follow each other at once."""
    monkeypatch.setattr(lookups, "WAITS", (0.01,) * 5)
    made: list[Bench] = []

    def make(*answers: Answer, **options: Any) -> Bench:
        made.append(Bench(tmp_path, *answers, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_stream_that_was_left_early_is_billed_as_soon_as_it_is_known(
    bench: Callable[..., Bench],
) -> None:
    b = bench(ABSENT, ABSENT, FOUND)
    b.leave_early()
    b.settle()
    (row,) = b.rows()
    assert (row["outcome"], row["generation_id"]) == ("abandoned", CHAT.id)
    assert row["billed_picousd"] == row["spent_picousd"] == 34_520_000
    assert (row["cost_source"], row["provider"]) == ("reconciled", "OpenAI")
    assert (row["input_tokens"], row["output_tokens"]) == (7, 3)
    assert len(b.questions) == 3
    for question in b.questions:
        assert question.headers["authorization"] == f"Bearer {KEY}"
        assert question.query == f"id={CHAT.id}"
        assert question.path == "/api/v1/generation"


def test_it_is_off_by_default(bench: Callable[..., Bench]) -> None:
    b = bench(FOUND, reconcile=False)
    b.leave_early()
    (row,) = b.rows()
    assert row["cost_source"] == "unknown"
    assert b.recorder._lookups is None
    assert b.questions == []


def test_nothing_is_asked_about_calls_that_have_their_bill_or_failed(
    bench: Callable[..., Bench],
) -> None:
    b = bench(FOUND)
    b.client.post("/chat/completions", json=ASKED)
    b.server.script(Answer.json({"error": {"code": 429, "message": "slow down"}}, status=429))
    b.client.post("/chat/completions", json=ASKED)
    assert len(b.rows()) == 2
    assert b.lookups.waiting == 0
    assert b.lookups._thread is None


def test_a_404_that_stays_is_marked(bench: Callable[..., Bench]) -> None:
    b = bench(ABSENT)
    b.leave_early()
    b.settle()
    assert len(b.questions) == 5
    (mark,) = b.rows("SELECT * FROM reconciliations")
    assert (mark["found"], mark["total_picousd"]) == (0, None)
    (row,) = b.rows()
    assert row["cost_source"] == "unknown"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again_and_nothing_is_marked(
    bench: Callable[..., Bench], status: int
) -> None:
    b = bench(Answer.json({"error": {"code": status, "message": "no"}}, status=status))
    b.leave_early()
    b.settle()
    assert len(b.questions) == 5
    assert b.rows("SELECT * FROM reconciliations") == []


def test_a_key_that_may_not_ask_is_not_tried_again(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    b = bench(Answer.json({"error": {"code": 401, "message": f"no {KEY}"}}, status=401))
    b.leave_early()
    b.settle()
    assert len(b.questions) == 1
    assert "answered 401" in caplog.text
    assert KEY not in caplog.text
    assert b.rows("SELECT * FROM reconciliations") == []


def test_an_answer_that_cannot_be_read_is_asked_for_again(bench: Callable[..., Bench]) -> None:
    b = bench(Answer.json({"data": {}}), FOUND)
    b.leave_early()
    b.settle()
    assert b.rows()[0]["cost_source"] == "reconciled"


def test_the_key_is_in_no_file_and_in_no_log(
    bench: Callable[..., Bench], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hold = Hold()
    b = bench(Answer(200, FOUND.headers, (hold, *FOUND.steps)))
    with caplog.at_level(logging.DEBUG):
        b.leave_early()
        wait_until(lambda: bool(b.questions))
        while_asking = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
        hold.release()
        b.settle()
        after = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert not any(KEY.encode() in data for data in (*while_asking, *after))
    assert KEY not in caplog.text
    assert KEY not in repr(lookups.Question(b"", "gen-1", "", KEY))


def test_a_question_that_comes_before_its_row_is_asked_again(
    bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "WAITS", (0.01, *(0.05,) * 200))
    b = bench(Answer(200, FOUND.headers, FOUND.steps))
    assert b.recorder.flush(20)  # the file is there
    held = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    b.leave_early()
    wait_until(lambda: len(b.questions) == 1)
    held.execute("COMMIT")
    held.close()
    b.settle()
    assert b.rows()[0]["cost_source"] == "reconciled"


def test_a_generation_is_asked_for_once(bench: Callable[..., Bench]) -> None:
    b = bench(FOUND)
    b.leave_early()
    b.leave_early()  # the stand-in gives the same id to both, as polls of a job do
    b.settle()
    assert len(b.questions) == 1
    sources = sorted(row["cost_source"] for row in b.rows())
    assert sources == ["reconciled", "unknown"]


def test_the_bill_of_a_later_answer_ends_the_questions(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "WAITS", (3600.0,))
    b = bench(FOUND)
    b.leave_early()
    assert b.lookups.waiting == 1
    billed = Chat("done", id=CHAT.id, usage=usage(1, 1))
    b.server.script(billed.plain())
    b.client.post("/chat/completions", json=ASKED)
    assert b.lookups.waiting == 0


def test_what_waits_is_bounded(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "WAITS", (3600.0,))
    monkeypatch.setattr(lookups, "MOST", 3)
    b = bench(FOUND)
    for _ in range(5):
        b.server.script(Chat("one two").stream())
        b.leave_early()
    assert b.lookups.waiting == 3
    assert len(b.rows()) == 5


def test_the_thread_ends_with_the_recorder(bench: Callable[..., Bench]) -> None:
    b = bench(ABSENT)
    b.leave_early()
    wait_until(lambda: bool(b.questions))
    assert b.recorder.close(20)
    thread = b.lookups._thread
    assert thread is not None
    assert not thread.is_alive()


def test_a_server_that_hangs_does_not_hold_up_the_close(bench: Callable[..., Bench]) -> None:
    hold = Hold()
    b = bench(Answer(200, FOUND.headers, (hold, *FOUND.steps)))
    b.leave_early()
    wait_until(lambda: bool(b.questions))
    assert b.recorder.flush(20)
    assert b.recorder.close(0.5)  # every call is stored
    thread = b.lookups._thread
    assert isinstance(thread, threading.Thread)
    assert thread.is_alive()
    assert thread.daemon
    hold.release()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("called", "asked"),
    [
        ("https://openrouter.ai/api/v1/messages", "https://openrouter.ai/api/v1/generation"),
        ("https://eu.openrouter.ai/api/beta/x", "https://eu.openrouter.ai/api/v1/generation"),
        ("https://llm.example.com/proxy/chat", "https://llm.example.com/proxy/generation"),
        ("https://llm.example.com/proxy/v1/x", "https://llm.example.com/proxy/v1/generation"),
        (
            "https://llm.example.com/proxy/api/beta/x",
            "https://llm.example.com/proxy/api/v1/generation",
        ),
    ],
)
def test_the_host_of_the_call_is_asked(called: str, asked: str) -> None:
    found = Lookups("sqlite:///x.db", ["https://llm.example.com/proxy/"])
    assert found._url(httpx.URL(called)) == asked


def test_a_fork_waits_for_a_bill_that_is_being_stored(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that is forked in mid-transaction inherits SQLite's idea of its locks."""
    storing, go_on, stored = threading.Event(), threading.Event(), threading.Event()
    fill_in = reconciliations.fill_in

    def slowly(*arguments: Any) -> bool:
        storing.set()
        assert go_on.wait(20)
        done = fill_in(*arguments)
        stored.set()
        return done

    monkeypatch.setattr(lookups, "fill_in", slowly)
    b = bench(FOUND)
    b.leave_early()
    assert storing.wait(20)
    found: list[bool] = []

    def fork() -> None:
        b.recorder.before_fork()
        found.append(stored.is_set())
        b.recorder.after_fork()

    forking = threading.Thread(target=fork)
    forking.start()
    go_on.set()
    forking.join(20)
    assert found == [True]
    b.settle()
    assert b.rows()[0]["cost_source"] == "reconciled"
