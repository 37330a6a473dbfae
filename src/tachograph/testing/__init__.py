"""Tools to test apps that call OpenRouter: a stand-in server that needs no key and no money.

    with FakeOpenRouter() as server:
        client = OpenAI(base_url=server.base_url, api_key="any")
        server.script(failure("upstream_rate_limited"), Chat("Hello").plain())
        ...
        assert server.requests[0].json()["model"] == "openai/gpt-5-mini"

Under pytest, the fixture `fake_openrouter` gives one that is already listening.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tachograph.testing.answers import CLOSE, RESET, Answer, Hold, Pause, sse
    from tachograph.testing.catalogue import MODELS, Endpoint, Model
    from tachograph.testing.chat import Chat, usage
    from tachograph.testing.failures import KINDS, failure
    from tachograph.testing.generate import generate_calls
    from tachograph.testing.server import FakeOpenRouter
    from tachograph.testing.wire import Request

# Loaded when first used, since pytest imports this package in every run.
_HOME = {
    "Answer": "answers",
    "CLOSE": "answers",
    "Chat": "chat",
    "Endpoint": "catalogue",
    "FakeOpenRouter": "server",
    "Hold": "answers",
    "KINDS": "failures",
    "MODELS": "catalogue",
    "Model": "catalogue",
    "Pause": "answers",
    "RESET": "answers",
    "Request": "wire",
    "failure": "failures",
    "generate_calls": "generate",
    "sse": "answers",
    "usage": "chat",
}

__all__ = [
    "CLOSE",
    "KINDS",
    "MODELS",
    "RESET",
    "Answer",
    "Chat",
    "Endpoint",
    "FakeOpenRouter",
    "Hold",
    "Model",
    "Pause",
    "Request",
    "failure",
    "generate_calls",
    "sse",
    "usage",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
