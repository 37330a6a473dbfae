"""Every recipe, with its SDK's real package: what it says is so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tachograph.analytics import read_calls
from tachograph.testing import Chat, FakeOpenRouter, failure
from tests.docs.snippets import run_console, snippets
from tests.recipes import messages
from tests.recipes.environments import ENVIRONMENTS, ROOT, THIS_CHECKOUT, python_of

RECIPES = ROOT / "docs/recipes"
OPENROUTER = "https://openrouter.ai"


class Bench:
    """A stand-in, and a folder for programs that call it."""

    def __init__(self, folder: Path, server: FakeOpenRouter) -> None:
        self.folder = folder
        self.server = server
        self.origin = server.base_url.removesuffix("/api/v1")

    def run_page(self, name: str, environment: str, before: str = "") -> pl.DataFrame:
        """The calls that are recorded when a page's program runs."""
        page = RECIPES / f"{name}.md"
        program = ""
        commands = []
        for snippet in snippets(page):
            if snippet.language == "python":  # at its lines, for tracebacks
                program += "\n" * (snippet.line - 1 - program.count("\n")) + snippet.code
            else:
                commands.append(snippet)
        return self.run(environment, before.replace("\n", ";") + program, commands)

    def run(self, environment: str, program: str, commands: Any = ()) -> pl.DataFrame:
        """The calls that are recorded when this program runs."""
        python = python_of(environment)
        app = self.folder / "app.py"
        app.write_text(program.replace(OPENROUTER, self.origin))
        variables = {
            **THIS_CHECKOUT,
            "HOME": os.environ["HOME"],
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "OPENROUTER_API_KEY": "any",
            "TACHOGRAPH_BASE_URLS": self.server.base_url,
            "ORIGIN": self.origin,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would ask the network for a newer one
        }
        for snippet in commands:
            run_console(snippet, self.folder, variables)
        if not commands:
            done = subprocess.run(
                [python, app], cwd=self.folder, env=variables, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        calls = read_calls(f"sqlite:///{self.folder / 'calls.db'}").sort("started_at")
        assert len(calls) == len(self.server.requests)
        return calls


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with FakeOpenRouter() as server:
        yield Bench(tmp_path, server)


def assert_true(calls: pl.DataFrame, streams: list[bool], by: str) -> None:
    """The calls are those that the page makes, whole and with OpenRouter's figures."""
    assert calls["stream"].to_list() == streams
    assert calls["outcome"].unique().to_list() == ["completed"]
    assert calls["model"].unique().to_list() == ["openai/gpt-5-mini"]
    assert calls["path"].unique().to_list() == ["/chat/completions"]
    assert set(calls["sdk"]) == {by}
    assert calls["resend_count"].to_list() == [0] * len(streams)
    for name in ("input_tokens", "output_tokens", "provider", "generation_id"):
        assert calls[name].null_count() == 0
    assert all(billed > 0 for billed in calls["billed_usd"])
    assert calls["generation_id"].n_unique() == len(streams)
    first_token = calls["first_token_seconds"].is_not_null().to_list()
    assert first_token == streams


def sdk(package: str, environment: str = "latest") -> str:
    """`openai/3.52.0`, as the column says it."""
    return f"{package.partition('[')[0]}/{ENVIRONMENTS[environment][package]}"


@pytest.mark.parametrize("environment", ["latest", "openai-2"])
def test_openai(bench: Bench, environment: str) -> None:
    calls = bench.run_page("openai", environment)
    assert_true(calls, [False, True, False], sdk("openai[aiohttp]", environment))


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_httpx(bench: Bench, name: str) -> None:
    assert_true(bench.run_page(name, "latest"), [False, True, False, False], sdk(name))


def test_openrouter(bench: Bench) -> None:
    calls = bench.run_page("openrouter", "latest")
    assert_true(calls, [False, True, False], sdk("openrouter"))


def test_langchain_openai(bench: Bench) -> None:
    calls = bench.run_page("langchain-openai", "latest")
    assert_true(calls, [False, True, False], sdk("openai[aiohttp]"))
    assert calls["name"].to_list() == ["explain", "explain", None]
    assert calls["operation_id"].n_unique() == 2


def test_langchain_openrouter(bench: Bench) -> None:
    calls = bench.run_page("langchain-openrouter", "bounded")
    assert_true(calls, [False, True, False], calls["sdk"][0])
    assert calls["sdk"][0].startswith("openrouter/")
    assert calls["session_id"].to_list() == ["s-1", "s-1", None]


def test_pydantic_ai(bench: Bench) -> None:
    before = (
        "import os, pydantic_ai.providers.openrouter as p\n"
        "p.OpenRouterProvider.base_url = os.environ['ORIGIN'] + '/api/v1'\n"
    )
    calls = bench.run_page("pydantic-ai", "latest", before)
    by = sdk("pydantic-ai-slim[openai,openrouter]").replace("-slim", "")
    assert_true(calls, [False, True], by)
    assert calls["attempt"].to_list() == [1, 2]


def test_instructor(bench: Bench) -> None:
    for arguments in ("{}", '{"reason": "A film of water."}'):
        bench.server.script(Chat("", tool_calls={"Answer": arguments}).plain())
    calls = bench.run_page("instructor", "bounded")
    assert calls["outcome"].to_list() == ["completed", "completed"]
    assert calls["resend_count"].to_list() == [0, 0]
    assert calls["attempt"].to_list() == [1, 2]
    assert calls["sdk"][0].startswith("openai/")
    assert calls["billed_usd"].null_count() == 0


def test_litellm(bench: Bench) -> None:
    calls = bench.run_page("litellm", "openai-2")
    assert_true(calls, [False, True, False, True], sdk("litellm", "openai-2"))


def test_anthropic(bench: Bench) -> None:
    bench.server.script(messages.plain(), messages.stream())
    calls = bench.run_page("anthropic", "latest")
    assert calls["path"].to_list() == ["/messages"] * 2
    assert calls["outcome"].to_list() == ["completed"] * 2
    assert calls["stream"].to_list() == [False, True]
    assert set(calls["sdk"]) == {sdk("anthropic")}
    assert calls["input_tokens"].to_list() == [messages.INPUT_TOKENS] * 2
    assert calls["cache_read_input_tokens"].to_list() == [messages.CACHED_TOKENS] * 2
    assert calls["output_tokens"].to_list() == [messages.OUTPUT_TOKENS] * 2
    assert calls["billed_usd"].to_list() == [Decimal("0.00123")] * 2


def test_opentelemetry_instrument(bench: Bench) -> None:
    calls = bench.run_page("opentelemetry-instrument", "latest")
    assert_true(calls, [False], sdk("openai[aiohttp]"))
    assert calls["span_id"].null_count() == 0


def test_every_page_is_tried() -> None:
    tried = {"openai", "anthropic", "instructor", "litellm", "opentelemetry-instrument"}
    tried |= {"httpx", "httpx2", "openrouter", "langchain-openai", "langchain-openrouter"}
    tried |= {"pydantic-ai"}
    assert {page.stem for page in RECIPES.glob("*.md")} - {"README"} == tried


RESENT = {
    "openai": """
import os, openai, tachograph
recorder = tachograph.Recorder("sqlite:///calls.db")
client = openai.OpenAI(base_url="https://openrouter.ai/api/v1", api_key="any")
tachograph.instrument(client, recorder)
ask = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
client.chat.completions.create(**ask)
""",
    "openrouter": """
import tachograph
from openrouter import OpenRouter
from openrouter.utils import BackoffStrategy, RetryConfig
recorder = tachograph.Recorder("sqlite:///calls.db")
client = OpenRouter(
    api_key="any",
    server_url="https://openrouter.ai/api/v1",
    retry_config=RetryConfig("backoff", BackoffStrategy(1, 5, 1.1, 10_000), True),
)
tachograph.instrument(client, recorder)
ask = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
client.chat.send(**ask)
""",
}


@pytest.mark.parametrize(
    ("sender", "environment"),
    [("openai", "latest"), ("openai", "openai-2"), ("openrouter", "latest")],
)
def test_what_an_sdk_sends_again_is_one_operation(
    bench: Bench, sender: str, environment: str
) -> None:
    overloaded = failure("provider_overloaded", retry_after=0.01)
    bench.server.script(overloaded, failure("edge_error").with_headers({"Retry-After": "0.01"}))
    calls = bench.run(environment, RESENT[sender])
    assert calls["outcome"].to_list() == ["failed", "failed", "completed"]
    assert calls["http_status"].to_list() == [503, 502, 200]
    assert calls["resend_count"].to_list() == [0, 1, 2]
    assert calls["attempt"].to_list() == [1, 2, 3]
    assert calls["operation_id"].n_unique() == 1
