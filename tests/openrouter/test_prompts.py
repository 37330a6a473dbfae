"""Texts out of kept content, in every dialect, and nothing out of what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tachograph.openrouter.prompts import Prompts, read_prompts

BLOCKS = [{"type": "text", "text": "One"}, {"type": "image_url"}, {"type": "text", "text": "two"}]
CALL = {"type": "function_call", "name": "look"}


@pytest.mark.parametrize(
    ("request_", "system", "user"),
    [
        ({"messages": [{"role": "user", "content": BLOCKS}]}, None, "One\ntwo"),
        ({"prompt": "Hello"}, None, "Hello"),
        ({"input": "Hello", "instructions": "Be brief."}, "Be brief.", "Hello"),
        (
            {"input": [{"role": "developer", "content": "B"}, {"role": "user", "content": "Hi"}]},
            "B",
            "Hi",
        ),
        (
            {"system": [{"text": "A"}], "messages": [{"role": "system", "content": "B"}]},
            "A\nB",
            None,
        ),
        ({"messages": "none", "model": "a/b"}, None, "none"),
        ("[12 bytes]", None, None),
        (None, None, None),
    ],
)
def test_what_was_asked(request_: Any, system: str | None, user: str | None) -> None:
    told = read_prompts(json.dumps(request_), None)
    assert (told.system_prompt, told.user_prompt) == (system, user)


@pytest.mark.parametrize(
    ("answer", "response"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, "Hi"),
        ({"choices": [{"text": "Hi"}]}, "Hi"),
        ({"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]}, [CALL]),
        ({"choices": [{"message": {"content": ""}}]}, None),
        ({"content": BLOCKS}, "One\ntwo"),
        ({"content": [{"type": "tool_use"}]}, [{"type": "tool_use"}]),
        ({"output": [{"type": "reasoning"}, {"content": BLOCKS}]}, "One\ntwo"),
        ({"output": [{"type": "message", "text": "Hi"}]}, "Hi"),
        ({"output": [CALL]}, [CALL]),
        ({"error": {"message": "no"}}, None),
        ({"choices": ["odd"], "output": 3}, None),
        ("[audio, 12 bytes]", None),
        (None, None),
    ],
)
def test_what_was_said(answer: Any, response: Any) -> None:
    told = read_prompts(None, json.dumps(answer)).response
    assert told == response or json.loads(told or "null") == response


def test_the_rest_is_history() -> None:
    roles = ("system", "user", "assistant", "tool", "assistant", "user")
    messages = [{"role": role, "content": str(n)} for n, role in enumerate(roles)]
    told = read_prompts(json.dumps({"messages": messages}), None)
    assert (told.assistant_message, told.user_prompt) == ("4", "5")
    assert json.loads(told.history_messages or "") == messages[1:4]
    assert read_prompts(None, None) == Prompts()
