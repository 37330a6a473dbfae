"""A job's polls belong to the operation that began it, and its cost is counted once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph import Recorder
from tachograph.httpx import RecordingTransport
from tachograph.openrouter.requests import read_request

ROOT = "https://openrouter.ai/api"
ASKED: dict[str, Any] = {"model": "google/veo-3.1", "prompt": "x"}
DONE: dict[str, Any] = {
    "id": "job-1",
    "generation_id": "gen-vid-1790000000-abc",
    "polling_url": "/api/v1/videos/job-1",
    "status": "completed",
    "usage": {"cost": 0.5, "is_byok": False},
}
PENDING = {"id": "job-1", "polling_url": "/api/v1/videos/job-1", "status": "pending"}


class Bench:
    """Sends requests to a stand-in that says what it is told."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "calls.db"

    def run(self, use: Callable[[Recorder, Callable[..., None]], None]) -> list[dict[str, Any]]:
        with Recorder(f"sqlite:///{self.file}") as recorder:
            said: dict[str, Any] = {}
            answers = httpx.MockTransport(lambda _: httpx.Response(**said))

            def send(method: str, path: str, answer: dict[str, Any], status: int = 200) -> None:
                said.update(status_code=status, json=answer)
                asked = ASKED if method == "POST" else None
                client.request(method, ROOT + path, json=asked)

            with httpx.Client(transport=RecordingTransport(recorder, answers)) as client:
                use(recorder, send)
            assert recorder.flush()
        with sqlite3.connect(self.file) as connection:
            connection.row_factory = sqlite3.Row
            rows = [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY id")]
        connection.close()
        return rows


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_polls_belong_to_the_operation_and_the_cost_is_counted_once(bench: Bench) -> None:
    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        with recorder.operation("trailer", session="s-1", tags={"team": "film"}):
            send("POST", "/v1/videos", PENDING, 202)
        send("GET", "/v1/videos/job-1", {**PENDING, "status": "in_progress"})
        for _ in range(3):
            send("GET", "/v1/videos/job-1", DONE)

    rows = bench.run(use)
    assert column(rows, "operation_id") == [rows[0]["id"]] * 5
    assert column(rows, "attempt") == [1, 2, 3, 4, 5]
    assert column(rows, "resend_count") == [0] * 5
    assert column(rows, "name") == ["trailer"] * 5
    assert column(rows, "session_id") == ["s-1"] * 5
    assert column(rows, "path") == ["/videos", *["/videos/{id}"] * 4]
    assert column(rows, "billed_picousd") == [None, None, 500_000_000_000, None, None]
    assert column(rows, "spent_picousd") == [None, None, 500_000_000_000, None, None]
    assert column(rows, "is_byok") == [None, None, 0, None, None]
    assert column(rows, "generation_id") == [None] * 2 + ["gen-vid-1790000000-abc"] * 3
    assert column(rows, "finish_reason") == [None, None, "completed", "completed", "completed"]
    assert column(rows, "job_id") == ["job-1"] * 5
    assert column(rows, "request_model") == column(rows, "model") == ["google/veo-3.1"] * 5
    assert column(rows, "outcome") == ["completed"] * 5


@pytest.mark.parametrize("root", ["/v1", "/beta"])
def test_a_batch_without_a_named_operation(bench: Bench, root: str) -> None:
    batch = {"id": "gen-batch-1790000000-b", "status": "in_progress", "usage": {"cost": 0.01}}

    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        send("POST", f"{root}/batches", {**batch, "status": "validating"})
        send("GET", f"{root}/batches/{batch['id']}", batch)
        with recorder.operation("another"):
            for _ in range(2):
                done = {**batch, "status": "completed", "usage": {"cost": 0.04}}
                send("GET", f"{root}/batches/{batch['id']}", done)

    rows = bench.run(use)
    assert column(rows, "operation_id") == [rows[0]["id"]] * 4
    assert column(rows, "name") == [None] * 4
    assert column(rows, "path") == ["/batches", *["/batches/{id}"] * 3]
    assert column(rows, "billed_picousd") == [None, None, 40_000_000_000, None]


@pytest.mark.parametrize("generation_id", ["gen-1", None])
def test_another_process_that_polls_the_job(bench: Bench, generation_id: str | None) -> None:
    def begin(recorder: Recorder, send: Callable[..., None]) -> None:
        send("POST", "/v1/videos", {**PENDING, "id": "job:1"}, 202)

    def poll(recorder: Recorder, send: Callable[..., None]) -> None:
        for path, job in (("job%3A1", "job:1"), ("job-2", "job-2")):
            send("GET", f"/v1/videos/{path}", {**DONE, "id": job, "generation_id": generation_id})

    bench.run(begin)
    bench.run(poll)  # each is a recorder that knows nothing of those before
    rows = bench.run(poll)
    assert column(rows, "job_id") == ["job:1", *["job:1", "job-2"] * 2]
    assert column(rows, "model") == ["google/veo-3.1", *["google/veo-3.1", None] * 2]
    assert column(rows, "billed_picousd") == [None, *[500_000_000_000] * 2, None, None]
    assert len(set(column(rows, "operation_id"))) == 5


def test_a_job_that_has_finished_before_its_cost_is_known(bench: Bench) -> None:
    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        for cost in (None, None, 0.5, 0.5, None):
            send("GET", "/v1/videos/job-1", {**DONE, "usage": {"cost": cost, "is_byok": False}})

    rows = bench.run(use)
    assert column(rows, "billed_picousd") == [None, None, 500_000_000_000, None, None]
    assert column(rows, "is_byok") == [0, None, 0, None, None]


@pytest.mark.parametrize(
    ("requests", "model"),
    [
        ([{"body": {"model": "a/b", "messages": []}}] * 3, "a/b"),
        ([{"model": "a/b"}, {"params": {"model": "a/b"}}, {"odd": 1}], "a/b"),
        ([{"body": {"model": "a/b"}}, {"body": {"model": "c/d"}}], None),
        ([{"body": "a/b"}], None),
        ([1], None),
        ("a/b", None),
        ([], None),
    ],
)
def test_the_model_of_a_batch_is_the_one_that_its_requests_name(
    requests: Any, model: str | None
) -> None:
    facts = read_request(json.dumps({"requests": requests}).encode())
    assert facts is not None
    assert facts.as_fields()[0] == model


def test_jobs_are_told_apart(bench: Bench) -> None:
    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        for job in ("job-1", "job-2"):
            send("POST", "/v1/videos", {**PENDING, "id": job}, 202)
        for job in ("job-2", "job-1"):
            send("GET", f"/v1/videos/{job}", {**DONE, "id": job, "generation_id": f"gen-{job}"})

    rows = bench.run(use)
    ids = column(rows, "id")
    assert column(rows, "operation_id") == [ids[0], ids[1], ids[1], ids[0]]
    assert column(rows, "billed_picousd") == [None, None, 500_000_000_000, 500_000_000_000]


def test_a_job_that_failed(bench: Bench) -> None:
    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        failed = {**PENDING, "status": "failed", "error": "The provider refused the prompt"}
        send("GET", "/v1/videos/job-1", failed)
        send("GET", "/v1/videos/job-1", {"error": {"code": 404, "message": "No such job"}}, 404)

    rows = bench.run(use)
    assert column(rows, "outcome") == ["failed", "failed"]
    assert column(rows, "error_type") == ["provider_error", "not_found"]
    assert rows[0]["error_message"] == "The provider refused the prompt"


def test_what_the_account_pages_say_is_no_cost(bench: Bench) -> None:
    usage = {"id": "gen-1", "usage": {"cost": 3}, "data": {"total_cost": 2, "usage": 2}}

    def use(recorder: Recorder, send: Callable[..., None]) -> None:
        for path in ("/generation?id=gen-1", "/activity", "/key", "/credits", "/models"):
            send("GET", f"/v1{path}", usage)

    rows = bench.run(use)
    assert column(rows, "spent_picousd") == [None] * 5
    assert column(rows, "generation_id") == [None] * 5
    assert column(rows, "outcome") == ["completed"] * 5
