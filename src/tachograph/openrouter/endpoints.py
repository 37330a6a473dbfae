"""OpenRouter's API as data: which path is which operation, and in which dialect it answers.

Source: OpenRouter's OpenAPI document and SDK. A path that is not in the table is still recorded,
with what HTTP tells and what an answer says in the members that all dialects share.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Dialect = Literal["chat", "responses", "messages"]

API_ROOTS = ("/api/v1", "/api/beta", "/api/alpha")
"""What stands before the paths of this module in a URL of openrouter.ai."""


class Endpoint(NamedTuple):
    path: str
    """Below the API's root, ids replaced by their names in braces."""
    operation_name: str | None
    """`gen_ai.operation.name`; None where nothing is inferred (catalogue, account)."""
    dialect: Dialect


_TABLE = (
    Endpoint("/chat/completions", "chat", "chat"),
    Endpoint("/completions", "text_completion", "chat"),
    Endpoint("/responses", "chat", "responses"),
    Endpoint("/messages", "chat", "messages"),
    Endpoint("/presets/{slug}/chat/completions", "chat", "chat"),
    Endpoint("/presets/{slug}/responses", "chat", "responses"),
    Endpoint("/presets/{slug}/messages", "chat", "messages"),
    Endpoint("/embeddings", "embeddings", "chat"),
    Endpoint("/rerank", "rerank", "chat"),
    Endpoint("/images", "image_generation", "chat"),
    Endpoint("/audio/speech", "speech", "chat"),
    Endpoint("/audio/transcriptions", "transcription", "chat"),
    Endpoint("/videos", "video_generation", "chat"),
    Endpoint("/videos/models", None, "chat"),
    Endpoint("/videos/{id}", "video_generation", "chat"),
    Endpoint("/videos/{id}/content", None, "chat"),
    Endpoint("/batches", "batch", "chat"),
    Endpoint("/batches/{id}", "batch", "chat"),
    Endpoint("/decisions", "decision", "chat"),
    Endpoint("/systemone", "decision", "chat"),
    Endpoint("/models", None, "chat"),
    Endpoint("/models/count", None, "chat"),
    Endpoint("/models/user", None, "chat"),
    Endpoint("/models/{author}/{slug}/endpoints", None, "chat"),
    Endpoint("/model/{author}/{slug}", None, "chat"),
    Endpoint("/images/models/{author}/{slug}/endpoints", None, "chat"),
)

_WORD = re.compile(r"[a-z][a-z_-]{0,40}")


def endpoint_of(path: str) -> Endpoint:
    """The endpoint of a path below the API's root."""
    for endpoint, pattern in _PATTERNS:
        if pattern.fullmatch(path):
            return endpoint
    segments = [s if _WORD.fullmatch(s) else "{id}" for s in path.split("/")[1:5] if s]
    return Endpoint("/" + "/".join(segments), None, "chat")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "/?")


# Fixed paths first: /videos/models is no video.
_PATTERNS = [(e, _pattern(e.path)) for e in sorted(_TABLE, key=lambda e: "{" in e.path)]
