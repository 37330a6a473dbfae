"""Content on spans: only by OpenTelemetry's own opt-in, in the form of the conventions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tachograph.core.records import Call, Content, Cost
from tachograph.telemetry.messages import VARIABLE, content_attributes
from tachograph.telemetry.spans import Spans
from tests.telemetry import registries
from tests.telemetry.conftest import Sdk


def _content(request: Any, answer: Any) -> Content:
    return Content(json.dumps(request), json.dumps(answer), None)


TOOL_CALL = {"id": "c-1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "[image/png, 9 bytes]"}}
CHAT = _content(
    {
        "model": "a/b",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
            {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
            {"role": "tool", "tool_call_id": "c-1", "content": "a cat"},
        ],
    },
    {
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "A cat.", "reasoning": "Hm."},
            }
        ]
    },
)
RESPONSES = _content(
    {
        "instructions": "Be short.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}]},
            {"type": "function_call", "call_id": "c-1", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c-1", "output": "a cat"},
        ],
    },
    {
        "status": "completed",
        "output": [
            {"type": "reasoning", "reasoning": "Hm."},
            {"type": "message", "content": [{"type": "output_text", "text": "A cat."}]},
        ],
    },
)
MESSAGES = _content(
    {
        "system": [{"type": "text", "text": "Be short."}],
        "messages": [
            {"role": "user", "content": "What is this?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c-1", "name": "find"}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c-1", "content": "a cat"}],
            },
        ],
    },
    {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "A cat."}],
    },
)
SAID = [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "A cat."}]
FORMS = {
    "input": "gen_ai.input.messages",
    "output": "gen_ai.output.messages",
    "system": "gen_ai.system_instructions",
}


def _read(call: Call) -> dict[str, Any]:
    said = content_attributes(call)
    return {form: json.loads(said[name]) for form, name in FORMS.items() if name in said}


@pytest.mark.parametrize("content", [CHAT, RESPONSES, MESSAGES])
def test_every_dialect_of_openrouter_has_the_form_of_the_conventions(
    call_with: Callable[..., Call], content: Content
) -> None:
    said = _read(call_with(content=content, finish_reason="stop"))
    for form, messages in said.items():
        assert registries.wrong_messages(form, messages) == []
    assert said["output"] == [{"role": "assistant", "parts": SAID, "finish_reason": "stop"}]
    parts = [part for message in said["input"] for part in message["parts"]]
    assert {"type": "text", "content": "What is this?"} in parts
    asked, got = (
        next(part for part in parts if part["type"] == kind)
        for kind in ("tool_call", "tool_call_response")
    )
    assert (asked["id"], asked["name"]) == (got["id"], "find") == ("c-1", "find")
    assert got["response"] == "a cat"
    if content is not CHAT:
        assert said["system"] == [{"type": "text", "content": "Be short."}]


def test_a_prompt_is_a_message_and_an_answer_that_broke_off_ended_in_error(
    call_with: Callable[..., Call],
) -> None:
    content = _content({"prompt": "Once"}, {"choices": [{"index": 0, "text": " upon"}]})
    said = _read(call_with(content=content, finish_reason=None, operation_name="text_completion"))
    assert said["input"] == [{"role": "user", "parts": [{"type": "text", "content": "Once"}]}]
    assert said["output"][0]["finish_reason"] == "error"


@pytest.mark.parametrize("kept", [None, "[9 bytes]", {"leaked": 1}, {"messages": [None, 7, {}]}])
def test_what_redaction_made_of_it_may_have_any_form(
    call_with: Callable[..., Call], kept: Any
) -> None:
    for form, messages in _read(call_with(content=_content(kept, kept))).items():
        assert registries.wrong_messages(form, messages) == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [(None, False), ("NO_CONTENT", False), ("EVENT_ONLY", False), ("span_only", True)],
)
def test_spans_have_content_only_where_opentelemetry_is_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
    sdk: Sdk,
    call_with: Callable[..., Call],
    said: str | None,
    shown: bool,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(VARIABLE, said)
    spans = Spans(sdk.provider)
    spans.make(call_with(spans.begin(), content=CHAT), None, Cost())
    assert ("gen_ai.input.messages" in (sdk.span().attributes or {})) is shown


def test_content_that_cannot_be_read_costs_no_span_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
    sdk: Sdk,
    call_with: Callable[..., Call],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    spans = Spans(sdk.provider)
    broken = Content("a secret that is no JSON", None, None)
    assert spans.make(call_with(spans.begin(), content=broken), None, Cost()) is True
    assert sdk.span().name.startswith("chat")
    assert "secret" not in caplog.text
    assert "DecodeError" in caplog.text
