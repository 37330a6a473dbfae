"""Paths become endpoints, and what could be somebody's id or content is replaced."""

from __future__ import annotations

import pytest

from tachograph.openrouter.endpoints import endpoint_of, job_of


@pytest.mark.parametrize(
    ("path", "known", "operation_name", "dialect"),
    [
        ("/chat/completions", "/chat/completions", "chat", "chat"),
        ("/completions", "/completions", "text_completion", "chat"),
        ("/responses", "/responses", "chat", "responses"),
        ("/messages/", "/messages", "chat", "messages"),
        ("/presets/my-1/messages", "/presets/{slug}/messages", "chat", "messages"),
        ("/presets/x/chat/completions", "/presets/{slug}/chat/completions", "chat", "chat"),
        ("/embeddings", "/embeddings", "embeddings", "chat"),
        ("/rerank", "/rerank", "rerank", "chat"),
        ("/images", "/images", "image_generation", "images"),
        ("/audio/speech", "/audio/speech", "speech", "chat"),
        ("/audio/transcriptions", "/audio/transcriptions", "transcription", "chat"),
        ("/videos", "/videos", "video_generation", "job"),
        ("/videos/job-1", "/videos/{id}", "video_generation", "job"),
        ("/videos/job-1/content", "/videos/{id}/content", None, "job"),
        ("/videos/models", "/videos/models", None, "account"),
        ("/batches/b", "/batches/{id}", "batch", "job"),
        (
            "/models/openai/gpt-5:free/endpoints",
            "/models/{author}/{slug}/endpoints",
            None,
            "account",
        ),
        ("/generation", "/generation", None, "account"),
        ("/keys/0af", "/keys/{id}", None, "account"),
        ("/invented/tomorrow", "/invented/tomorrow", None, "chat"),
        ("/invented/7f3a/Some-Content", "/invented/{id}/{id}", None, "chat"),
    ],
)
def test_endpoints(path: str, known: str, operation_name: str | None, dialect: str) -> None:
    assert endpoint_of(path) == (known, operation_name, dialect)


@pytest.mark.parametrize(
    ("path", "job"),
    [
        ("/videos/job-1", "job-1"),
        ("/videos/job-1/content", "job-1"),
        ("/batches/b/cancel", "b"),
        ("/videos", None),
        ("/videos/models", None),
        ("/videos/models-1", "models-1"),
        ("/batches/", None),
        ("/messages", None),
    ],
)
def test_the_job_that_is_asked_for(path: str, job: str | None) -> None:
    assert job_of(path) == job
