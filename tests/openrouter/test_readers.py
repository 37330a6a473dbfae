"""Answers of the endpoints that are neither chat nor one of its dialects."""

from __future__ import annotations

import json

import pytest

from tests.openrouter.feeding import fed, read, read_stream, said

USAGE = {"prompt_tokens": 0, "completion_tokens": 4175, "total_tokens": 4175, "cost": 0.04}


def test_images() -> None:
    facts = read("images", {"created": 1, "data": [{"b64_json": "AAAA"}], "usage": USAGE})
    assert json.loads(facts["usage"]) == USAGE
    assert facts["terminal"]


def test_a_stream_of_images() -> None:
    partial = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "A"}
    ended = {"type": "image_generation.completed", "b64_json": "AAAA", "created": 1, "usage": USAGE}
    facts = read_stream("images", partial)
    assert (facts["has_token"], facts["terminal"]) == (True, False)
    facts = read_stream("images", partial, ended)
    assert json.loads(facts["usage"]) == USAGE
    assert facts["terminal"]


def test_an_image_that_failed_and_one_that_is_text() -> None:
    error = {"code": "upstream_error", "message": "m", "param": None, "type": "provider_error"}
    assert read_stream("images", {"type": "error", "error": error})["failed"]
    assert read_stream("images", {"type": "image_generation.text_chunk", "text": "<svg"})[
        "has_token"
    ]


def test_an_image_of_megabytes_in_one_event() -> None:
    event = {"type": "image_generation.completed", "b64_json": "A" * 3_000_000, "usage": USAGE}
    data = b"data: " + json.dumps(event).encode() + b"\n\ndata: [DONE]\n\n"
    pieces = [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    facts = fed("images", "text/event-stream", pieces)
    assert json.loads(facts["usage"]) == USAGE
    assert facts["has_token"]


def test_embeddings_of_two_thousand_texts() -> None:
    vectors = [{"object": "embedding", "index": i, "embedding": [0.25] * 256} for i in range(2048)]
    usage = {"prompt_tokens": 8, "total_tokens": 8, "cost": 1e-7}
    answer = {"object": "list", "data": vectors, "id": "gen-emb-1", "model": "m", "usage": usage}
    data = json.dumps(answer).encode()
    facts = fed(
        "chat", "application/json", [data[i : i + 65_536] for i in range(0, len(data), 65_536)]
    )
    assert facts["generation_id"] == "gen-emb-1"
    assert json.loads(facts["usage"]) == usage
    assert facts["terminal"]


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"id": "gen-rerank-1", "results": [{"index": 0}]}, {"search_units": 1, "total_tokens": 9}),
        ({"text": "Hello", "language": "en"}, {"seconds": 9.2, "cost": 0.000508}),
    ],
)
def test_rerank_and_transcriptions(answer: dict[str, object], usage: dict[str, object]) -> None:
    facts = read("chat", {**answer, "usage": usage})
    assert json.loads(facts["usage"]) == usage
    assert facts["generation_id"] == answer.get("id")


def test_speech_is_bytes() -> None:
    assert said(fed("chat", "audio/mpeg", [b'{"usage":{"cost":1}}'] * 3)) == {}


def test_a_job_has_its_usage_when_it_has_finished() -> None:
    job = {"id": "job-1", "status": "in_progress", "usage": {"cost": 1}}
    assert said(read("job", job)) == {"job_id": "job-1"}
    done = {**job, "status": "completed", "generation_id": "gen-1"}
    assert said(read("job", done)) == {
        "job_id": "job-1",
        "generation_id": "gen-1",
        "finish_reason": "completed",
        "usage": b'{"cost":1}',
    }


def test_pages_of_the_account_have_no_usage() -> None:
    page = {"id": "gen-1", "usage": {"cost": 1}, "data": {"usage": 1}}
    facts = read("account", page)
    assert said(facts) == {}
    assert facts["terminal"]
    assert read("account", {"error": {"code": 401, "message": "m"}})["failed"]
