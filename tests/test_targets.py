"""Which URLs are recorded, under which path, and how the SDK is named."""

from __future__ import annotations

from types import ModuleType

import httpx
import httpx2
import pytest

from tachograph.errors import SettingsError
from tachograph.targets import Targets

IDN = "xn--bcher-kva.example"


def found(url: str, *base_urls: str) -> tuple[str, str, str | None] | None:
    target = Targets(base_urls).find(httpx.URL(url))
    return None if target is None else (target.host, target.path, target.operation_name)


@pytest.mark.parametrize(
    ("url", "path", "operation"),
    [
        ("https://openrouter.ai/api/v1/chat/completions", "/chat/completions", "chat"),
        ("https://openrouter.ai/api/v1/responses?x=1", "/responses", "chat"),
        ("https://openrouter.ai/api/v1/messages/", "/messages", "chat"),
        (
            "https://openrouter.ai/api/v1/presets/mine/chat/completions",
            "/presets/{slug}/chat/completions",
            "chat",
        ),
        ("https://openrouter.ai/api/v1/videos/job-1", "/videos/{id}", "video_generation"),
        ("https://openrouter.ai/api/v1/videos/models", "/videos/models", None),
        ("https://openrouter.ai/api/beta/batches/b-1", "/batches/{id}", "batch"),
        ("https://openrouter.ai/api/v1/models/a/b:free/endpoints", None, None),
        ("https://openrouter.ai/api/v1/keys/0123abcd", "/keys/{id}", None),
        ("https://openrouter.ai/docs", "/docs", None),
    ],
)
def test_openrouter(url: str, path: str | None, operation: str | None) -> None:
    path = path or "/models/{author}/{slug}/endpoints"
    assert found(url) == ("openrouter.ai", path, operation)


def test_subdomains_are_openrouter_and_look_alikes_are_not() -> None:
    assert found("https://eu.openrouter.ai/api/v1/embeddings") == (
        "eu.openrouter.ai",
        "/embeddings",
        "embeddings",
    )
    for url in (
        "https://notopenrouter.ai/api/v1/chat/completions",
        "https://openrouter.ai.example.com/api/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
    ):
        assert found(url) is None


def test_a_base_url_that_was_named() -> None:
    base = "http://127.0.0.1:8080/gateway/v1/"
    url = "http://127.0.0.1:8080/gateway/v1/chat/completions"
    assert found(url, base) == ("127.0.0.1:8080", "/chat/completions", "chat")
    for other in (
        "http://127.0.0.1:8081/gateway/v1/chat/completions",
        "https://127.0.0.1:8080/gateway/v1/chat/completions",
        "http://127.0.0.1:8080/gateway/v10/chat/completions",
        "http://127.0.0.1:8080/chat/completions",
    ):
        assert found(other, base) is None


@pytest.mark.parametrize(
    ("base", "url", "host", "path"),
    [
        ("https://openrouter.ai/api", "https://openrouter.ai/api/v1/messages", None, "/messages"),
        ("http://gw:81", "http://gw:81/api/v1/chat/completions", "gw:81", "/chat/completions"),
        ("http://gw/api", "http://gw/api/beta/batches/b-1", "gw", "/batches/{id}"),
        ("http://gw/or", "http://gw/or/v1/messages", "gw", "/messages"),
        ("http://gw/v1", "http://gw/v1/messages", "gw", "/messages"),
        ("http://[::1]:81/v1", "http://[::1]:81/v1/rerank", "[::1]:81", "/rerank"),
        ("http://[::1]/v1", "http://[::1]/v1/rerank", "[::1]", "/rerank"),
        ("https://Bücher.example/v1", "https://bücher.example/v1/rerank", IDN, "/rerank"),
        (f"https://{IDN}/v1", "https://BÜCHER.example/v1/rerank", IDN, "/rerank"),
    ],
)
@pytest.mark.parametrize("hx", [httpx, httpx2], ids=lambda hx: hx.__name__)
def test_base_urls_as_sdks_and_people_write_them(
    base: str, url: str, host: str | None, path: str, hx: ModuleType
) -> None:
    target = Targets([base]).find(hx.URL(url))
    assert target is not None
    assert (target.host, target.path) == (host or "openrouter.ai", path)


def test_the_schemes_own_port_may_be_named_or_not() -> None:
    url = "https://llm.example.com/chat/completions"
    assert found(url, "https://LLM.example.com:443") == (
        "llm.example.com",
        "/chat/completions",
        "chat",
    )


@pytest.mark.parametrize(
    "url", ["llm.example.com/v1", "ftp://llm.example.com", "https:///v1", "https://ü_.example"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"is no base URL|is no name of a host"):
        Targets([url])


@pytest.mark.parametrize(
    ("user_agent", "sdk"),
    [
        (b"OpenAI/Python 3.52.0", "openai/3.52.0"),
        (b"AsyncOpenAI/Python 3.52.0", "openai/3.52.0"),
        (b"Anthropic/Python 1.2.3", "anthropic/1.2.3"),
        (b"speakeasy-sdk/python 1.3.84 2.788.4 1.0.0 openrouter", "openrouter/1.3.84"),
        (b"python-httpx/0.28.1", "httpx/0.28.1"),
        (b"pydantic-ai/2.62.0", "pydantic-ai/2.62.0"),
        (b"my app", "my app"),
        (None, None),
    ],
)
def test_the_sdk_is_named_by_its_user_agent(user_agent: bytes | None, sdk: str | None) -> None:
    assert Targets(()).sdk(user_agent) == sdk


def test_keys_are_told_apart_only_when_asked_and_never_shown() -> None:
    headers = {b"authorization": b"Bearer sk-or-v1-1234567890"}
    assert Targets(()).key_hash(headers) is None
    salted = Targets((), "pepper")
    one = salted.key_hash(headers)
    assert one is not None
    assert one == salted.key_hash({b"x-api-key": b"sk-or-v1-1234567890"})
    assert one == salted.key_hash({b"authorization": b"bearer sk-or-v1-1234567890"})
    assert one != Targets((), "salt").key_hash(headers)
    assert one != salted.key_hash({b"authorization": b"Bearer sk-or-v1-other"})
    assert salted.key_hash({}) is None


def test_what_is_not_recorded_is_told_once_to_who_looks_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "tachograph")
    targets = Targets([])
    for _ in range(2):
        assert targets.find(httpx.URL("http://127.0.0.1:1/v1/secret?key=secret")) is None
    assert caplog.messages == ["calls to http://127.0.0.1 are not recorded: no base URL is theirs"]
