"""A few calls to free models of OpenRouter itself: plain and streamed, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import httpx

import tachograph

MODELS = 3
CALLS_PER_MODEL = 2
TIMEOUT_SECONDS = 60.0
MOST_TOKENS = 200

_QUESTION = "In one sentence: what does a tachograph record?"


def free_models(listed: Iterable[str]) -> list[str]:
    """The first few of the listed models that cost nothing."""
    return sorted({model for model in listed if model.endswith(":free")})[:MODELS]


def ask_free_models(
    base_url: str,
    api_key: str,
    models: Sequence[str],
    recorder: tachograph.Recorder,
    done: Callable[[], object],
) -> None:
    """Asks each model twice; a call that fails is what a report shows, and stops nothing."""
    with tachograph.instrument(
        httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_SECONDS,
        ),
        recorder,
    ) as client:
        for model in models:
            with recorder.operation("live demo"):
                for stream in (False, True):
                    body = {
                        "model": model,
                        "messages": [{"role": "user", "content": _QUESTION}],
                        "max_tokens": MOST_TOKENS,
                        "stream": stream,
                    }
                    with (
                        suppress(httpx.TransportError),
                        client.stream("POST", "chat/completions", json=body) as response,
                    ):
                        response.read()
                    done()
