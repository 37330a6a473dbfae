"""Every way in which a call can end gives exactly one truthful record: both families, sync and
async, over a real socket."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tachograph import Recorder
from tachograph.testing import CLOSE, RESET, Answer, Chat, FakeOpenRouter, Hold, failure
from tests.clients import KINDS, Client, Kind, Response

CHAT = Chat("one two three four five", usage=None)
TOKENS = 5
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}
STREAMED = {**ASKED, "stream": True}


class Bench:
    """A recorder, a stand-in, and a client between them."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.server = FakeOpenRouter()
        self.file = folder / "calls.db"
        self.recorder = Recorder(f"sqlite:///{self.file}", base_urls=[self.server.base_url])
        self.url = self.server.base_url + "/chat/completions"

    def client(self, transport: dict[str, Any] | None = None, **options: Any) -> Client:
        wrapped = self.kind.transport(self.recorder, **(transport or {}))
        return self.kind.client(transport=wrapped, **options)

    def run(self, use: Callable[[Client], Awaitable[None]], **options: Any) -> None:
        async def main() -> None:
            async with self.client(**options) as client:
                await use(client)

        asyncio.run(main())

    def rows(self) -> list[dict[str, Any]]:
        gc.collect()
        assert self.recorder.flush(20)
        status = self.recorder.status()
        assert status.in_flight == 0
        assert status.dropped == {}
        assert (status.made, status.waiting) == (status.stored, 0)
        with sqlite3.connect(self.file) as connection:
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute("SELECT * FROM calls ORDER BY id")]
        connection.close()
        assert len(found) == status.made
        return found

    def row(self) -> dict[str, Any]:
        (row,) = self.rows()
        return row

    def close(self) -> None:
        self.server.close()
        assert self.recorder.close(20)
        assert not list((self.file.parent / "calls.db.journal").iterdir())


@pytest.fixture(params=KINDS, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(request.param, tmp_path)
    yield bench
    bench.close()


def ended(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["outcome"], row["error_type"], row["http_status"]


def assert_whole(row: dict[str, Any]) -> None:
    assert ended(row) == ("completed", None, 200)
    assert row["generation_id"] == CHAT.id
    assert (row["input_tokens"], row["output_tokens"]) == (10, TOKENS)
    assert row["finish_reason"] == "stop"
    assert row["latency_seconds"] >= row["headers_seconds"] > 0


def assert_without_usage(row: dict[str, Any]) -> None:
    names = ("input_tokens", "output_tokens", "billed_picousd", "spent_picousd", "finish_reason")
    assert [row[name] for name in names] == [None] * len(names)
    assert row["cost_source"] == "unknown"


# --- answers that came whole ---


def test_a_plain_answer_read_to_its_end(bench: Bench) -> None:
    bench.server.script(CHAT.plain().kept_alive(3))

    async def use(client: Client) -> None:
        assert (await client.post(bench.url, json=ASKED)).json()["id"] == CHAT.id

    bench.run(use)
    row = bench.row()
    assert_whole(row)
    assert (row["stream"], row["chunks"], row["first_token_seconds"]) == (0, None, None)


def test_a_stream_read_to_its_end(bench: Bench) -> None:
    answer = CHAT.stream()
    bench.server.script(answer)

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED) as response:
            assert b"".join([piece async for piece in response.pieces()]) == answer.body

    bench.run(use)
    row = bench.row()
    assert_whole(row)
    assert (row["stream"], row["chunks"]) == (1, TOKENS + 2)
    assert row["response_bytes"] == len(answer.body)
    assert row["headers_seconds"] <= row["first_token_seconds"] <= row["latency_seconds"]
    assert row["consumer_seconds"] > 0


def test_the_first_token_is_neither_the_keep_alive_nor_the_empty_role_chunk(bench: Bench) -> None:
    hold = Hold()
    chunks = CHAT.chunks()
    role = CHAT.chunk({"content": ""})
    opening = Answer.sse([": OPENROUTER PROCESSING\n\n", role])
    bench.server.script(
        Answer(200, opening.headers, (*opening.steps, hold, *Answer.sse([*chunks, "[DONE]"]).steps))
    )
    held = {}

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED) as response:
            pieces = response.pieces()
            seen = b""
            while not seen.endswith(b'"logprobs":null}]}\n\n'):
                seen += await anext(pieces)
            (live,) = bench.recorder._open
            held["ns"] = live._last_ns - live._started_ns
            hold.release()
            async for _ in pieces:
                pass

    bench.run(use)
    assert bench.row()["first_token_seconds"] > held["ns"] / 1e9


def test_an_answer_that_its_transport_hands_over_already_read(bench: Bench) -> None:
    hx, recorder = bench.kind.hx, bench.recorder
    mock = hx.MockTransport(lambda request: hx.Response(200, content=CHAT.plain().body))

    async def main() -> None:
        transport = bench.kind.transport(recorder)
        transport.wrapped = mock
        async with bench.kind.client(transport=transport) as client:
            await client.post(bench.url, json=ASKED)

    asyncio.run(main())
    assert_whole(bench.row())


def test_a_reader_that_stops_at_done(bench: Bench) -> None:
    hold = Hold()
    answer = CHAT.stream()
    bench.server.script(answer.at(len(answer.body), hold))

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED) as response:
            async for piece in response.pieces():
                if b"[DONE]" in piece:
                    break

    bench.run(use)
    assert_whole(bench.row())


# --- answers that were left ---


async def read_two(response: Response) -> None:
    count = 0
    async for piece in response.pieces():
        count += piece.count(b"data:")
        if count >= 2:
            return


def test_a_stream_left_early_and_closed(bench: Bench) -> None:
    answer = CHAT.stream()
    third = answer.body.index(b"three")
    bench.server.script(answer.at(answer.body.rindex(b"data:", 0, third), Hold()))

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED) as response:
            await read_two(response)

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("abandoned", None, 200)
    assert_without_usage(row)
    assert (row["generation_id"], row["provider"]) == (CHAT.id, CHAT.provider)
    assert row["chunks"] == 2
    assert row["first_token_seconds"] is not None


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the socket that nobody closes is what this is about
def test_a_stream_left_early_and_dropped(bench: Bench) -> None:
    answer = CHAT.stream()
    bench.server.script(answer.at(answer.body.index(b"data: {"), Hold()))

    async def use(client: Client) -> None:
        response = await client.open(bench.url, json=STREAMED)
        client.raw = bench.kind.hx.AsyncClient() if client.is_async else bench.kind.hx.Client()
        del response
        gc.collect()

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("abandoned", "dropped", 200)
    assert_without_usage(row)
    assert row["generation_id"] == CHAT.id  # of the head


def test_an_answer_never_read_and_closed(bench: Bench) -> None:
    bench.server.script(CHAT.plain().at(0, b"", Hold()))

    async def use(client: Client) -> None:
        await (await client.open(bench.url, json=ASKED)).close()

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("abandoned", None, 200)
    assert_without_usage(row)
    assert row["response_bytes"] == 0


def test_an_exception_in_the_consumer(bench: Bench) -> None:
    answer = CHAT.stream()
    bench.server.script(answer.at(answer.body.index(b"data: {"), Hold()))

    async def use(client: Client) -> None:
        async def read() -> None:
            async with client.stream(bench.url, json=STREAMED) as response:
                async for _ in response.pieces():
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await read()

    bench.run(use)
    assert ended(bench.row()) == ("abandoned", None, 200)


@pytest.mark.parametrize("before_head", [True, False])
def test_a_task_cancelled(bench: Bench, before_head: bool) -> None:
    if not bench.kind.is_async:
        pytest.skip("there are no tasks in sync code")
    hold = Hold()
    answer = CHAT.stream()
    at = 0 if before_head else answer.body.index(b"data: {")
    bench.server.script(answer.at(at, hold))

    async def use(client: Client) -> None:
        async def read() -> None:
            async with client.stream(bench.url, json=STREAMED) as response:
                async for _ in response.pieces():
                    pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(hold.reached.wait)
        while not bench.recorder._open:
            await asyncio.sleep(0)
        if not before_head:
            (live,) = bench.recorder._open
            while not live._capture.response_bytes:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("abandoned", "cancelled", None if before_head else 200)
    assert row["latency_seconds"] > 0


# --- transports that failed ---


def test_nobody_listens(bench: Bench) -> None:
    bench.server.close()

    async def use(client: Client) -> None:
        with pytest.raises(bench.kind.hx.ConnectError):
            await client.post(bench.url, json=ASKED)

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "connect_error", None)
    assert row["request_model"] == "openai/gpt-5-mini"
    assert row["response_bytes"] is None


@pytest.mark.parametrize("before_head", [True, False])
def test_a_read_timeout(bench: Bench, before_head: bool) -> None:
    answer = CHAT.stream()
    at = 0 if before_head else answer.body.index(b"data: {") + 200
    bench.server.script(answer.at(at, Hold()))

    async def use(client: Client) -> None:
        with pytest.raises(bench.kind.hx.ReadTimeout):
            async with client.stream(bench.url, json=STREAMED) as response:
                await response.read()

    bench.run(use, timeout=bench.kind.hx.Timeout(10, read=0.2))
    row = bench.row()
    assert ended(row) == ("failed", "read_timeout", None if before_head else 200)
    assert row["latency_seconds"] >= 0.2
    assert_without_usage(row)


def test_a_connect_timeout(bench: Bench) -> None:
    hx = bench.kind.hx

    def give_up(request: Any) -> Any:
        raise hx.ConnectTimeout("timed out", request=request)

    async def main() -> None:
        transport = bench.kind.transport(bench.recorder)
        transport.wrapped = hx.MockTransport(give_up)
        async with bench.kind.client(transport=transport) as client:
            with pytest.raises(hx.ConnectTimeout):
                await client.post(bench.url, json=ASKED)

    asyncio.run(main())
    assert ended(bench.row()) == ("failed", "connect_timeout", None)


def test_a_pool_timeout(bench: Bench) -> None:
    hx = bench.kind.hx
    bench.server.script(CHAT.stream().at(0, b"", Hold()))

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED):
            with pytest.raises(hx.PoolTimeout):
                await client.post(bench.url, json=ASKED)

    bench.run(
        use,
        transport={"limits": hx.Limits(max_connections=1)},
        timeout=hx.Timeout(10, pool=0.1),
    )
    first, second = bench.rows()
    assert ended(first) == ("abandoned", None, 200)
    assert ended(second) == ("failed", "pool_timeout", None)


@pytest.mark.parametrize("end", [RESET, CLOSE])
def test_a_stream_that_the_peer_drops(bench: Bench, end: Any) -> None:
    answer = CHAT.stream()
    bench.server.script(answer.at(answer.body.index(b"three"), end))

    async def use(client: Client) -> None:
        hx = bench.kind.hx

        async def read() -> None:
            async with client.stream(bench.url, json=STREAMED) as response:
                async for _ in response.pieces():
                    pass

        with pytest.raises((hx.ReadError, hx.RemoteProtocolError)):
            await read()

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "stream_cut", 200)
    assert row["chunks"] == 2
    assert row["provider"] == CHAT.provider
    assert_without_usage(row)


def test_a_stream_that_ends_without_its_end(bench: Bench) -> None:
    answer = CHAT.stream()
    cut = Answer(200, answer.headers, answer.steps[:3], "close")
    bench.server.script(cut)

    async def use(client: Client) -> None:
        async with client.stream(bench.url, json=STREAMED) as response:
            await response.read()

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "stream_cut", 200)
    assert row["chunks"] == 2


def test_a_plain_answer_that_the_peer_drops(bench: Bench) -> None:
    bench.server.script(failure("truncated_json"))

    async def use(client: Client) -> None:
        with pytest.raises(bench.kind.hx.RemoteProtocolError):
            await client.post(bench.url, json=ASKED)

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "remote_protocol_error", 200)
    assert_without_usage(row)


@pytest.mark.parametrize(
    "body", [b'{"id":"gen-1","usage":{"cost":1', b"<html></html>", b"[]", b"\n  \n"]
)
def test_an_answer_that_is_none(bench: Bench, body: bytes) -> None:
    bench.server.script(Answer(200, {"Content-Type": "application/json"}, (body,), "length"))

    async def use(client: Client) -> None:
        assert (await client.post(bench.url, json=ASKED)).content == body

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "malformed_answer", 200)
    assert_without_usage(row)


def test_a_body_that_is_not_of_its_coding(bench: Bench) -> None:
    body = CHAT.plain().body
    head = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bench.server.script(Answer(200, head, (body,), "length"))

    async def use(client: Client) -> None:
        with pytest.raises(bench.kind.hx.DecodingError):
            await client.post(bench.url, json=ASKED)

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", "malformed_answer", 200)
    assert_without_usage(row)


# --- errors that were stated, and answers that are none ---

STATED = {
    "invalid_request": ("invalid_request", 400),
    "authentication": ("authentication", 401),
    "insufficient_credits": ("insufficient_credits", 402),
    "in_flight_budget": ("in_flight_budget", 402),
    "moderation": ("moderation", 403),
    "not_found": ("not_found", 404),
    "context_length_exceeded": ("context_length_exceeded", 400),
    "rate_limited": ("rate_limited", 429),
    "upstream_rate_limited": ("upstream_rate_limited", 429),
    "provider_unavailable": ("provider_unavailable", 502),
    "provider_overloaded": ("provider_overloaded", 503),
    "edge_error": ("edge_error", 502),
    "error_in_answer": ("provider_unavailable", 200),
    "error_in_choice": ("provider_unavailable", 200),
    "empty_body": ("malformed_answer", 200),
    "stream_error": ("provider_unavailable", 200),
    "stream_error_without_choices": ("provider_unavailable", 200),
    "stream_malformed_function_call": ("provider_error", 200),
    "stream_token_limit": ("max_tokens_exceeded", 200),
}


@pytest.mark.parametrize("name", STATED)
def test_a_stated_failure(bench: Bench, name: Any) -> None:
    bench.server.script(failure(name))

    async def use(client: Client) -> None:
        asked = STREAMED if name.startswith("stream") else ASKED
        async with client.stream(bench.url, json=asked) as response:
            await response.read()

    bench.run(use)
    row = bench.row()
    assert ended(row) == ("failed", *STATED[name])
    assert "user_" not in (row["error_message"] or "")
    if name == "stream_token_limit":
        assert row["output_tokens"] is not None
    elif row["input_tokens"] is None:
        assert row["billed_picousd"] is None
