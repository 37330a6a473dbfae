"""The stand-in as an app's own tests meet it: over a real socket, with real clients."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import httpx2
import msgspec
import pytest

from tachograph.testing import CLOSE, RESET, Answer, Chat, FakeOpenRouter, Hold, Pause, Request, sse

HELLO = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello there"}]}

decode = msgspec.json.Decoder(float_hook=Decimal).decode


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def client(request: pytest.FixtureRequest, fake_openrouter: FakeOpenRouter) -> Any:
    with request.param.Client(base_url=fake_openrouter.base_url, trust_env=False) as client:
        yield client


def post(client: Any, **body: Any) -> Any:
    return client.post("/chat/completions", json={**HELLO, **body})


def events(response: Any) -> list[dict[str, Any]]:
    lines = [line for line in response.text.split("\n\n") if line.startswith("data: {")]
    return [decode(line.removeprefix("data: ")) for line in lines]


def test_a_plain_answer_has_what_openrouters_have(client: Any) -> None:
    response = post(client)
    body = decode(response.content)
    assert response.status_code == 200
    assert response.content.startswith(b"\n         \n")
    assert response.headers["x-generation-id"] == body["id"]
    assert body["id"].startswith("gen-")
    assert body["model"] == "openai/gpt-5-mini-2025-08-07"
    assert body["provider"] == "OpenAI"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["message"]["content"]


def test_the_cost_is_that_of_the_listed_price_to_the_last_digit(client: Any) -> None:
    usage = decode(post(client, model="moonshotai/kimi-k3").content)["usage"]
    listed = {m["id"]: m["pricing"] for m in client.get("/models").json()["data"]}
    price = listed["moonshotai/kimi-k3"]
    expected = usage["prompt_tokens"] * Decimal(price["prompt"])
    expected += usage["completion_tokens"] * Decimal(price["completion"])
    assert usage["cost"] == expected > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_ends_as_openrouters_do(client: Any) -> None:
    response = post(client, stream=True)
    chunks = events(response)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.text.startswith(": OPENROUTER PROCESSING\n\n")
    assert response.text.endswith("data: [DONE]\n\n")
    assert [("usage" in chunk) for chunk in chunks].count(True) == 1
    assert chunks[-1]["usage"]["cost"] > 0
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:]]
    assert reasons == ["stop", "stop"]
    assert {chunk["id"] for chunk in chunks} == {response.headers["x-generation-id"]}


def test_a_stream_says_what_the_plain_answer_says(client: Any) -> None:
    plain = post(client, reasoning={"effort": "low"}).json()
    chunks = events(post(client, reasoning={"effort": "low"}, stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    message = plain["choices"][0]["message"]
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == message["reasoning"]
    assert plain["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert plain["usage"]["total_tokens"] == chunks[-1]["usage"]["total_tokens"]


def test_max_tokens_cuts_the_answer(client: Any) -> None:
    body = post(client, max_tokens=3).json()
    assert body["usage"]["completion_tokens"] == 3
    assert body["choices"][0]["finish_reason"] == "length"


def test_a_tool_that_is_required_is_called(client: Any) -> None:
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    choice = post(client, tools=tools, tool_choice="required").json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "look_up"
    chunks = events(post(client, tools=tools, tool_choice="required", stream=True))
    calls = [c["choices"][0]["delta"].get("tool_calls") for c in chunks]
    pieces = [call[0]["function"]["arguments"] for call in calls if call]
    assert "".join(pieces) == choice["message"]["tool_calls"][0]["function"]["arguments"]


LONG = {"role": "system", "content": "word" + " word" * 1199}


def test_the_second_prompt_with_the_same_beginning_is_read_from_the_cache(client: Any) -> None:
    first, second = (
        post(client, messages=[LONG, {"role": "user", "content": question}]).json()["usage"]
        for question in ("One?", "Two?")
    )
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["prompt_tokens_details"]["cached_tokens"] == 1204
    assert (
        second["cost_details"]["upstream_inference_prompt_cost"]
        < first["cost_details"]["upstream_inference_prompt_cost"]
    )


def test_a_cache_that_is_written_for_money_is_written_only_when_asked_for(client: Any) -> None:
    messages = [LONG, {"role": "user", "content": "One?"}]
    model = "anthropic/claude-haiku-4.5"
    marks: list[dict[str, Any]] = [
        {},
        {"cache_control": {"type": "ephemeral"}},
        {"cache_control": {}},
    ]
    details = [
        post(client, model=model, messages=messages, **mark).json()["usage"][
            "prompt_tokens_details"
        ]
        for mark in marks
    ]
    assert [d["cache_write_tokens"] for d in details] == [0, 1204, 0]
    assert [d["cached_tokens"] for d in details] == [0, 0, 1204]


def test_the_provider_can_be_chosen(client: Any) -> None:
    model = "deepseek/deepseek-v4-pro"
    assert post(client, model=model).json()["provider"] == "DeepInfra"
    assert (
        post(client, model=model, provider={"order": ["nextbit"]}).json()["provider"] == "NextBit"
    )
    assert (
        post(client, model=model, provider={"ignore": ["DeepInfra"]}).json()["provider"]
        == "NextBit"
    )
    assert post(client, model=model, provider={"only": ["OpenAI"]}).status_code == 404


def test_the_router_chooses_a_model(client: Any) -> None:
    assert post(client, model="openrouter/auto").json()["model"] == "openai/gpt-5-mini-2025-08-07"


def test_a_model_that_is_not_listed_is_served_free_of_charge(client: Any) -> None:
    body = post(client, model="somebody/something").json()
    assert body["model"] == "somebody/something"
    assert body["usage"]["cost"] == 0


def test_the_catalogue_and_its_endpoints(client: Any) -> None:
    models = client.get("/models").json()["data"]
    providers = set()
    for model in models:
        details = client.get(model["links"]["details"].removeprefix("/api/v1")).json()["data"]
        assert details["id"] == model["id"]
        providers |= {endpoint["provider_name"] for endpoint in details["endpoints"]}
    assert len(models) >= 6
    assert len(providers) >= 4


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "x"}', b'{"messages": ["x"]}'])
def test_a_request_that_makes_no_sense_is_refused(client: Any, body: bytes) -> None:
    response = client.post("/chat/completions", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == 400


def test_an_unknown_path_is_not_found(client: Any) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/models/nobody/nothing/endpoints").status_code == 404


def test_scripted_answers_come_in_order_and_then_its_own(
    client: Any, fake_openrouter: FakeOpenRouter
) -> None:
    fake_openrouter.script(Chat("one").plain(), lambda request, own: Answer.json(request.json()))
    assert post(client).json()["choices"][0]["message"]["content"] == "one"
    assert post(client).json() == HELLO
    assert "stand-in" in post(client).text


def test_respond_chooses_where_no_script_is_left() -> None:
    def respond(request: Request, own: Answer) -> Answer:
        return own.with_headers({"X-Asked": request.path}) if own.status == 200 else own

    with FakeOpenRouter(respond) as server, httpx.Client(base_url=server.base_url) as client:
        server.script(Answer.json({"models": 0}))
        assert client.get("/models").json() == {"models": 0}
        assert client.get("/models").headers["x-asked"] == "/api/v1/models"
        assert "x-asked" not in client.get("/nothing").headers


def test_requests_are_kept_as_they_came(client: Any, fake_openrouter: FakeOpenRouter) -> None:
    client.get("/models", params={"limit": 2}, headers={"X-Title": "An app"})
    client.post("/chat/completions", content=iter([b'{"model":', b'"x"}']))
    listing, chat = fake_openrouter.requests
    assert (listing.method, listing.path, listing.query) == ("GET", "/api/v1/models", "limit=2")
    assert listing.headers["x-title"] == "An app"
    assert chat.body == b'{"model":"x"}'


def test_a_connection_serves_many_requests(client: Any, fake_openrouter: FakeOpenRouter) -> None:
    post(client)
    post(client)
    with httpx.Client(base_url=fake_openrouter.base_url) as another:
        post(another)
    assert [request.connection for request in fake_openrouter.requests] == [1, 1, 2]


def test_pieces_arrive_as_they_were_cut(client: Any, fake_openrouter: FakeOpenRouter) -> None:
    answer = Chat("Grüße aus dem Süden").stream()
    fake_openrouter.script(answer.cut_every(7))
    with client.stream("POST", "/chat/completions", json=HELLO) as response:
        pieces = list(response.iter_raw())
    assert b"".join(pieces) == answer.body
    assert max(len(piece) for piece in pieces) <= 7


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_pieces_can_be_read_as_they_come(
    client: Any, fake_openrouter: FakeOpenRouter, coding: Any
) -> None:
    hold = Hold()
    whole = Answer.sse(["one", "two"]).encoded(coding)
    first = whole.steps[0]
    assert isinstance(first, bytes)
    fake_openrouter.script(whole.at(len(first), hold))
    with client.stream("POST", "/chat/completions", json=HELLO) as response:
        text = response.iter_text()
        assert next(text) == "data: one\n\n"
        hold.release()
        assert "".join(text) == "data: two\n\n"


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_the_end_of_a_body_is_told_in_each_way(
    client: Any, fake_openrouter: FakeOpenRouter, framing: Any
) -> None:
    fake_openrouter.script(Answer(200, {}, (b"one", b"two"), framing))
    assert client.get("/models").content == b"onetwo"
    assert client.get("/models").status_code == 200


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_the_connection_breaks_where_it_was_told_to(
    client: Any, fake_openrouter: FakeOpenRouter, end: Any, framing: Any
) -> None:
    fake_openrouter.script(Answer(200, {}, (b"0123456789",), framing).at(4, end))
    family = httpx if isinstance(client, httpx.Client) else httpx2
    received: list[bytes] = []
    broken = pytest.raises((family.RemoteProtocolError, family.ReadError))
    with broken, client.stream("GET", "/models") as response:
        received.extend(response.iter_raw())
    assert b"".join(received) == b"0123"


def test_nothing_but_the_head_comes_while_it_is_held(
    client: Any, fake_openrouter: FakeOpenRouter
) -> None:
    hold = Hold()
    fake_openrouter.script(Answer(steps=(b"", hold, b"late")))
    with client.stream("GET", "/models") as response:
        assert response.status_code == 200
        assert hold.reached.wait(10)
        hold.release()
        assert response.read() == b"late"


def test_a_client_gives_up_on_an_answer_that_never_comes(
    client: Any, fake_openrouter: FakeOpenRouter
) -> None:
    hold = Hold()
    fake_openrouter.script(Answer(steps=(hold,)))
    family = httpx if isinstance(client, httpx.Client) else httpx2
    with pytest.raises(family.ReadTimeout):
        client.get("/models", timeout=0.05)
    assert hold.reached.wait(10)


@pytest.mark.parametrize("step", [Hold(), Pause(3600)])
def test_closing_cuts_short_what_is_held_or_paused(step: Any) -> None:
    with FakeOpenRouter() as server, httpx.Client(base_url=server.base_url) as client:
        server.script(Answer(steps=(b"first", step, b"last")))
        with client.stream("GET", "/models") as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"first"
            server.close()
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)


def test_a_closed_server_does_not_listen() -> None:
    with FakeOpenRouter() as server:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url)


def test_events_are_written_as_the_standard_has_them() -> None:
    assert sse([{"a": Decimal("0.10")}, "[DONE]", ": a comment\n\n"]) == (
        b'data: {"a":0.10}\n\n',
        b"data: [DONE]\n\n",
        b": a comment\n\n",
    )
    assert sse(["x"], newline="\r\n") == (b"data: x\r\n\r\n",)
