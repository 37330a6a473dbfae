"""OpenRouter's API as data: which path is which operation, and in which dialect it answers.

Source: OpenRouter's OpenAPI document and SDK. A path that is not in the table is still recorded,
with what HTTP tells and what an answer says in the members that all dialects share.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import unquote

from tachograph.openrouter.text import TEXT_CHARACTERS, fit

Dialect = Literal["chat", "responses", "messages", "images", "job", "account"]
"""`chat` is also that of plain answers; `account` that of answers which never cost anything."""


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
    Endpoint("/images", "image_generation", "images"),
    Endpoint("/audio/speech", "speech", "chat"),
    Endpoint("/audio/transcriptions", "transcription", "chat"),
    Endpoint("/videos", "video_generation", "job"),
    Endpoint("/videos/{id}", "video_generation", "job"),
    Endpoint("/videos/{id}/content", None, "job"),
    Endpoint("/batches", "batch", "job"),
    Endpoint("/batches/{id}", "batch", "job"),
    Endpoint("/batches/{id}/cancel", "batch", "job"),
    Endpoint("/decisions", "decision", "chat"),
    Endpoint("/systemone", "decision", "chat"),
    *(
        Endpoint(path, None, "account")
        for path in (
            "/models",
            "/models/count",
            "/models/user",
            "/models/{author}/{slug}/endpoints",
            "/model/{author}/{slug}",
            "/embeddings/models",
            "/images/models",
            "/images/models/{author}/{slug}/endpoints",
            "/videos/models",
            "/endpoints/zdr",
            "/providers",
            "/tools",
            "/tools/{name}",
            "/generation",
            "/generation/content",
            "/generation/feedback",
            "/key",
            "/keys",
            "/keys/{id}",
            "/credits",
            "/activity",
            "/analytics/meta",
            "/analytics/query",
        )
    ),
)

_WORD = re.compile(r"[a-z][a-z_-]{0,40}")
_ROOT = re.compile(r"(?:/api)?/(?:v1|beta|alpha)(?=/|$)")


def endpoint_of(path: str) -> Endpoint:
    """The endpoint of a path below the API's root."""
    for endpoint, pattern in _PATTERNS:
        if pattern.fullmatch(path):
            return endpoint
    segments = [s if _WORD.fullmatch(s) else "{id}" for s in path.split("/")[1:5] if s]
    return Endpoint("/" + "/".join(segments), None, "chat")


def root_of(path: str) -> str:
    """What stands before an endpoint's path: an API root, or the end of one, since some SDKs are
    given a base URL that stops before the version; "" where there is none."""
    match = _ROOT.match(path)
    return "" if match is None else match[0]


def job_of(path: str) -> str | None:
    """The id of the job that a path below the API's root asks for."""
    match = _JOB.match(path)
    return None if match is None else fit(unquote(match[1]))[:TEXT_CHARACTERS]


_JOB = re.compile(r"/(?:videos(?!/models/?$)|batches)/([^/]+)")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "/?")


# Fixed paths first: /videos/models is no video.
_PATTERNS = [(e, _pattern(e.path)) for e in sorted(_TABLE, key=lambda e: "{" in e.path)]
