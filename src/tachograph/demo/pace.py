"""How the stand-in answers the demo: at a model's own pace, and with the troubles of the plan."""

from __future__ import annotations

import threading
from random import Random
from typing import cast

import msgspec

from tachograph.demo.plan import PASSING
from tachograph.testing import Answer, Request, failure, failures

HEAD_SECONDS = 0.008

PACES = {
    "anthropic/claude-haiku-4.5": (0.060, 0.0016),
    "deepseek/deepseek-v4-pro": (0.110, 0.0030),
    "google/gemini-2.5-flash": (0.035, 0.0009),
    "google/gemma-4-31b-it": (0.030, 0.0012),
    "moonshotai/kimi-k3": (0.140, 0.0034),
    "openai/gpt-5-mini": (0.080, 0.0018),
    "qwen/qwen3.8-27b:free": (0.090, 0.0040),
}
"""Seconds to the first token, and for each further one: a tenth of what real models take."""

_USUAL = (0.080, 0.0020)


class Pace:
    """Chooses the stand-in's answers: `FakeOpenRouter(Pace())`."""

    def __init__(self) -> None:
        self._over: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, request: Request, own: Answer) -> Answer:
        if request.method != "POST":
            return own
        chance = Random(request.body)  # noqa: S311
        first, each = PACES.get(request.json()["model"], _USUAL)
        first *= chance.lognormvariate(0, 0.25)
        each *= chance.lognormvariate(0, 0.1)
        trouble = self._trouble(request.headers.get("x-demo", ""))
        answer = failure(trouble) if trouble else own
        if "event-stream" in answer.headers.get("Content-Type", ""):
            return answer.spaced(HEAD_SECONDS, first, each)
        if answer.status != 200 or trouble:
            return answer.spaced(first)
        usage = msgspec.json.decode(answer.body)["usage"]
        return answer.spaced(HEAD_SECONDS, first + each * usage["completion_tokens"])

    def _trouble(self, wanted: str) -> failures.Kind | None:
        """The kind of trouble to make; one that passes is made once for each request."""
        kind = wanted.partition(" ")[2]
        with self._lock:
            struck = wanted in self._over
            self._over.add(wanted)
        return None if not kind or (struck and kind in PASSING) else cast("failures.Kind", kind)
