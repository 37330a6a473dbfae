"""Prompts and answers as plain text, out of what was kept of a call.

Requests and answers of all three dialects: messages, input or prompt; choices, output or content.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

_SYSTEM = ("system", "developer")


class Prompts(NamedTuple):
    """The texts of one call; None where there is none, or it was not kept."""

    system_prompt: str | None = None
    """All instructions, one below the other."""
    user_prompt: str | None = None
    """The user's last message."""
    response: str | None = None
    """The text of the answer; of an answer that calls tools and says nothing, JSON of the calls."""
    assistant_message: str | None = None
    """The model's last message before that, as the request repeats it."""
    history_messages: str | None = None
    """JSON array: the messages of the request that are none of these."""


def read_prompts(request: str | None, answer: str | None) -> Prompts:
    """The texts of a request and an answer, each JSON as `contents` holds it."""
    asked, said = _object(request), _object(answer)
    messages = _messages(asked)
    system = [n for n, message in enumerate(messages) if message.get("role") in _SYSTEM]
    last = {message.get("role"): n for n, message in enumerate(messages)}
    user, assistant = last.get("user"), last.get("assistant")
    taken = {*system, user, assistant}
    instructions = [_text(asked.get(name)) for name in ("system", "instructions")]
    instructions += [_text(messages[n].get("content")) for n in system]
    history = [message for n, message in enumerate(messages) if n not in taken]
    return Prompts(
        system_prompt="\n".join(filter(None, instructions)) or None,
        user_prompt=None if user is None else _text(messages[user].get("content")),
        response=_answer(said),
        assistant_message=None if assistant is None else _text(messages[assistant].get("content")),
        history_messages=msgspec.json.encode(history).decode() if messages else None,
    )


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    for name in ("messages", "input", "prompt"):
        given = request.get(name)
        if isinstance(given, str):
            return [{"role": "user", "content": given}]
        if isinstance(given, list):
            return [item for item in given if isinstance(item, dict)]
    return []


def _answer(answer: dict[str, Any]) -> str | None:
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            message = choice.get("message")
            message = message if isinstance(message, dict) else {}
            said = _text(message.get("content")) or _text(choice.get("text"))
            return said or _json(message.get("tool_calls"))
    if "content" in answer:  # /messages
        return _text(answer["content"]) or _json(answer["content"])
    output = answer.get("output")  # /responses
    if not isinstance(output, list):
        return None
    items = [item for item in output if isinstance(item, dict)]
    texts = [_text(item.get("content")) or _text(item) for item in items]
    calls = [item for item in items if item.get("type") == "function_call"]
    return "\n".join(filter(None, texts)) or _json(calls)


def _text(content: Any) -> str | None:
    """The text of a content, which may be a list of blocks."""
    if isinstance(content, str):
        return content or None
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    blocks = (block.get("text") if isinstance(block, dict) else block for block in content)
    return "\n".join(text for text in blocks if isinstance(text, str)) or None


def _json(value: Any) -> str | None:
    return msgspec.json.encode(value).decode() if value else None


def _object(text: str | None) -> dict[str, Any]:
    value = None if text is None else msgspec.json.decode(text)
    return value if isinstance(value, dict) else {}
