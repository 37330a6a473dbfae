"""Other people's instrumentations of openai, as they are: whose span is the call's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.environments import THIS_CHECKOUT, python_of

APP = Path(__file__).with_name("foreign_app.py")

Told = dict[str, dict[str, list[dict[str, Any]]]]


def _run(by: str, folder: Path) -> Told:
    """What was recorded, and the spans that were made, by what the app did."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("OTEL_", "TACHOGRAPH_"))}
    done = subprocess.run(
        [python_of("instrumentations"), APP, by, "sqlite:///calls.db"],
        cwd=folder,
        env={**kept, **THIS_CHECKOUT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told: Told = json.loads(done.stdout)
    return told


def _id(span: dict[str, Any]) -> str:
    return str(span["context"]["span_id"]).removeprefix("0x")


def _cost(span: dict[str, Any]) -> Any:
    return span["attributes"].get("openrouter.cost")


# OpenLLMetry's package lies in OpenTelemetry's folder
@pytest.mark.parametrize("by", ["openinference", "opentelemetry"])
def test_its_span_is_the_only_one_and_has_the_cost(by: str, tmp_path: Path) -> None:
    for way, told in _run(by, tmp_path).items():
        (span,) = told["spans"]
        assert {call["span_id"] for call in told["calls"]} == {_id(span)}, way
        left = told["calls"][-1]["outcome"] == "abandoned"
        assert (_cost(span) is None) is left
        assert span["attributes"]["openrouter.outcome"] == told["calls"][-1]["outcome"]
        failed = [event for event in span["events"] if event["name"] == "openrouter.call_failed"]
        assert len(failed) == len(told["calls"]) - 1


def test_logfire_has_one_span_but_for_streams(tmp_path: Path) -> None:
    """Of a stream its span ends when the headers have come: ours is then beneath it."""
    told = _run("logfire", tmp_path)
    for way in ("_plain", "_twice"):
        (span,) = told[way]["spans"]
        assert {call["span_id"] for call in told[way]["calls"]} == {_id(span)}
        assert _cost(span)
    for way in ("_stream", "_left"):
        (call,) = told[way]["calls"]
        spans = {_id(span): span for span in told[way]["spans"]}
        assert spans[call["span_id"]]["name"] == "chat openai/gpt-5-mini"
        assert _cost(spans[call["parent_span_id"]]) is None


def test_langfuses_own_client_is_not_seen(tmp_path: Path) -> None:
    """Its span is never the current one, so nobody can tell that it stands for the call: an app
    that uses it as well has two, and docs/backends/langfuse.md says so."""
    for told in _run("langfuse", tmp_path).values():
        theirs = [span for span in told["spans"] if span["name"] == "OpenAI-generation"]
        ours = {_id(span) for span in told["spans"] if span not in theirs}
        assert len(theirs) == 1
        assert {call["span_id"] for call in told["calls"]} == ours
