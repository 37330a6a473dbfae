"""The peers, set up as their documentation says, so that they can be turned on and off."""

from __future__ import annotations

import importlib
from typing import Any

import openai
from openai.resources.chat.completions import Completions
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

_REPLACED: tuple[tuple[type, str], ...] = ((openai.OpenAI, "request"), (Completions, "create"))
"""The methods of openai that one or the other of them replaces."""


class Peer:
    """One of them, whose spans go to an exporter; off at first."""

    def __init__(self, name: str, exporter: SpanExporter) -> None:
        before = self._methods()
        self.provider = TracerProvider()
        if name == "langfuse":
            langfuse = importlib.import_module("langfuse")
            langfuse.Langfuse(
                public_key="pk-lf-1",
                secret_key="sk-lf-1",
                base_url="http://127.0.0.1:1",
                span_exporter=exporter,
                tracer_provider=self.provider,
            )
            importlib.import_module("langfuse.openai")
        else:
            self.provider.add_span_processor(BatchSpanProcessor(exporter))
            home = {
                "otel-genai": "opentelemetry.instrumentation.genai.openai",
                "openinference": "openinference.instrumentation.openai",
            }[name]
            instrumentor = importlib.import_module(home).OpenAIInstrumentor()
            instrumentor.instrument(tracer_provider=self.provider)
        self._on, self._off = self._methods(), before
        if all(self._on[at] is self._off[at] for at in _REPLACED):
            raise RuntimeError(f"{name} replaced nothing that is known here")
        self.turn(on=False)

    def turn(self, *, on: bool) -> None:
        for (kind, name), method in (self._on if on else self._off).items():
            if method is not None:
                setattr(kind, name, method)
            elif name in vars(kind):
                delattr(kind, name)

    @staticmethod
    def _methods() -> dict[tuple[type, str], Any]:
        """As they stand in their classes; None where a class inherits its own."""
        return {(kind, name): vars(kind).get(name) for kind, name in _REPLACED}
