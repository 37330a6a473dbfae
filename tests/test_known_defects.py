"""What another recorder of the same calls got wrong, each as a test of this one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph import Recorder
from tachograph.httpx import AsyncRecordingTransport, RecordingTransport

URL = "https://openrouter.ai/api/v1/chat/completions"


def rows(file: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(file) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY id")]
    connection.close()
    return found


def recorded(folder: Path, *answers: dict[str, Any], status: int = 200) -> list[dict[str, Any]]:
    """The rows of as many calls, answered in turn."""
    left = iter(answers)
    wire = httpx.MockTransport(lambda _: httpx.Response(status, json=next(left)))
    with (
        Recorder(f"sqlite:///{folder / 'calls.db'}") as recorder,
        httpx.Client(transport=RecordingTransport(recorder, wire)) as client,
    ):
        for _ in answers:
            client.post(URL, json={"model": "a/b", "messages": []})
    return rows(folder / "calls.db")


def choice(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": finish_reason, "message": message}], "id": "gen-1"}


def test_concurrent_streams_keep_their_own_tokens(tmp_path: Path) -> None:
    streams = 20

    class Stream(httpx.AsyncByteStream):
        def __init__(self, n: int) -> None:
            self.n = n

        async def __aiter__(self) -> AsyncIterator[bytes]:
            usage = {"prompt_tokens": self.n, "completion_tokens": self.n * 100, "cost": self.n}
            for event in ({"choices": [{"delta": {"content": "a"}}]}, {"usage": usage}):
                await asyncio.sleep(0)  # the others go on here
                yield b"data: %b\n\n" % json.dumps({"id": f"gen-{self.n}", **event}).encode()
            yield b"data: [DONE]\n\n"

    def respond(request: httpx.Request) -> httpx.Response:
        n = int(json.loads(request.content)["user"])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(n))

    async def main() -> None:
        with Recorder(f"sqlite:///{tmp_path / 'calls.db'}") as recorder:
            transport = AsyncRecordingTransport(recorder, httpx.MockTransport(respond))
            async with httpx.AsyncClient(transport=transport) as client:
                sent = ({"user": str(n), "stream": True} for n in range(streams))
                await asyncio.gather(*(client.post(URL, json=body) for body in sent))

    asyncio.run(main())
    found = {int(row["user_id"]): row for row in rows(tmp_path / "calls.db")}
    assert sorted(found) == list(range(streams))
    for n, row in found.items():
        assert row["generation_id"] == f"gen-{n}"
        assert (row["input_tokens"], row["output_tokens"]) == (n, n * 100)
        assert row["billed_picousd"] == n * 10**12


def test_an_answer_without_usage_does_not_inherit_that_of_the_one_before(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "cost": 0.5}
    first, second = recorded(tmp_path, {**choice(content="a"), "usage": usage}, choice(content="b"))
    assert (first["output_tokens"], first["cost_source"]) == (7, "billed")
    for name in ("input_tokens", "output_tokens", "billed_picousd", "spent_picousd"):
        assert second[name] is None
    assert (second["outcome"], second["cost_source"]) == ("completed", "unknown")


@pytest.mark.parametrize(
    "answer",
    [
        choice("tool_calls", content=None, tool_calls=[{"function": {"name": "f"}}]),
        choice(content=""),
        choice(content=None),
    ],
    ids=["tool call", "empty", "null"],
)
def test_a_tool_call_and_an_empty_answer_are_successes(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    (row,) = recorded(tmp_path, answer)
    assert (row["outcome"], row["error_type"]) == ("completed", None)
    assert row["finish_reason"] == answer["choices"][0]["finish_reason"]


def test_a_program_of_one_asyncio_run_loses_nothing(tmp_path: Path) -> None:
    program = """
import asyncio, sys
import httpx
from tachograph import Recorder
from tachograph.httpx import AsyncRecordingTransport

async def main():
    recorder = Recorder(sys.argv[1])
    wire = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": "gen-1", "choices": []}))
    async with httpx.AsyncClient(transport=AsyncRecordingTransport(recorder, wire)) as client:
        for _ in range(50):
            await client.post("https://openrouter.ai/api/v1/chat/completions", json={})

asyncio.run(main())
"""
    url = f"sqlite:///{tmp_path / 'calls.db'}"
    subprocess.run([sys.executable, "-c", program, url], check=True, timeout=60)
    found = rows(tmp_path / "calls.db")
    assert len(found) == 50
    assert {row["outcome"] for row in found} == {"completed"}


def test_cached_tokens_are_part_of_the_input_and_not_added_to_the_output(tmp_path: Path) -> None:
    details = {"cached_tokens": 90, "cache_write_tokens": 5}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": details}
    (row,) = recorded(tmp_path, {**choice(content="a"), "usage": usage})
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"]) == (100, 7, None)
    assert (row["cache_read_input_tokens"], row["cache_write_input_tokens"]) == (90, 5)


def test_a_402_is_sent_once_and_recorded_once(tmp_path: Path) -> None:
    error = {"error": {"code": 402, "message": "Insufficient credits"}}
    (row,) = recorded(tmp_path, error, status=402)
    assert (row["outcome"], row["error_type"]) == ("failed", "insufficient_credits")
    assert (row["attempt"], row["resend_count"]) == (1, 0)
