"""The openai SDK takes the stand-in for OpenRouter."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tachograph.testing import FakeOpenRouter, failure

ASK: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
MODEL = "openai/gpt-5-mini"


@pytest.fixture
def client(fake_openrouter: FakeOpenRouter) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=fake_openrouter.base_url, api_key="any", max_retries=0) as client:
        yield client


def test_a_plain_answer_and_a_stream(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    text = answer.choices[0].message.content
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == streamed != ""
    assert answer.usage is not None
    assert answer.usage.to_dict()["cost"] > 0  # type: ignore[operator]
    assert chunks[-1].usage == answer.usage


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("authentication", openai.AuthenticationError),
        ("moderation", openai.PermissionDeniedError),
        ("upstream_rate_limited", openai.RateLimitError),
        ("edge_error", openai.InternalServerError),
        ("disconnect", openai.APIConnectionError),
    ],
)
def test_failures_are_the_sdks_own_errors(
    client: openai.OpenAI, fake_openrouter: FakeOpenRouter, kind: str, error: type[Exception]
) -> None:
    fake_openrouter.script(failure(kind))  # type: ignore[arg-type]
    with pytest.raises(error):
        client.chat.completions.create(model=MODEL, messages=ASK)


def test_a_stream_that_fails_raises(client: openai.OpenAI, fake_openrouter: FakeOpenRouter) -> None:
    fake_openrouter.script(failure("stream_error"))
    with pytest.raises(openai.APIError, match="Provider disconnected"):
        list(client.chat.completions.create(model=MODEL, messages=ASK, stream=True))


def test_the_sdk_sends_a_failed_request_again(fake_openrouter: FakeOpenRouter) -> None:
    fake_openrouter.script(failure("rate_limited", retry_after=0.01))
    with openai.OpenAI(base_url=fake_openrouter.base_url, api_key="any") as client:
        client.chat.completions.create(model=MODEL, messages=ASK)
    counts = [request.headers["x-stainless-retry-count"] for request in fake_openrouter.requests]
    assert counts == ["0", "1"]
