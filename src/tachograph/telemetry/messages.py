"""Kept content -> the messages of the GenAI conventions, as JSON strings.

Strings, since not every backend takes structured attributes. Only what the recorder kept, so after
masking and redaction; what has a form that nobody has foreseen goes as a part of its own type.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from tachograph.errors import TachographError
from tachograph.telemetry import semconv as names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph.core.records import Call
    from tachograph.telemetry.attributes import Attributes

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_HAS_MESSAGES = frozenset({"chat", "text_completion"})

Part = dict[str, Any]


def content_goes_on_spans() -> bool:
    """Whether OpenTelemetry's own opt-in asks for it."""
    return os.environ.get(VARIABLE, "").strip().upper() in ("SPAN_ONLY", "SPAN_AND_EVENT")


def content_attributes(call: Call) -> Attributes:
    """Input and output messages and system instructions, as far as they were kept.

    Raises TachographError, which tells no more than the kind of what went wrong: the text of an
    error may have content in it.
    """
    try:
        return _attributes(call)
    except Exception as exc:
        trouble = f"content could not be put on a span: {type(exc).__name__}"
    raise TachographError(trouble)


def _attributes(call: Call) -> Attributes:
    if call.content is None or call.operation_name not in _HAS_MESSAGES:
        return {}
    request, answer = _object(call.content.request), _object(call.content.answer)
    found: dict[str, list[Any]] = {
        names.GEN_AI_SYSTEM_INSTRUCTIONS: [
            part for name in ("system", "instructions") for part in _parts(request.get(name))
        ],
        names.GEN_AI_INPUT_MESSAGES: list(_input(request)),
        names.GEN_AI_OUTPUT_MESSAGES: list(_output(answer, call.finish_reason or "error")),
    }
    return {name: msgspec.json.encode(said).decode() for name, said in found.items() if said}


def _input(request: dict[str, Any]) -> Iterator[Any]:
    said = next(
        (request[name] for name in ("messages", "prompt", "input") if name in request), None
    )
    if isinstance(said, str):
        yield _message("user", _parts(said))
    elif isinstance(said, list):
        yield from (_input_message(item) for item in said)


def _input_message(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        return _message("user", _parts(item))
    if item.get("role") == "tool":
        response = {"id": item.get("tool_call_id"), "response": item.get("content")}
        return _message("tool", [{"type": "tool_call_response", **response}])
    if "role" in item:
        return _message(item["role"], _said(item))
    role = "tool" if item.get("type") == "function_call_output" else "assistant"
    return _message(role, _parts([item]))


def _output(answer: dict[str, Any], finish_reason: str) -> Iterator[Any]:
    for choice in _dicts(answer.get("choices")):
        message = choice.get("message")
        parts = _said(message) if isinstance(message, dict) else _parts(choice.get("text"))
        reason = choice.get("finish_reason") or finish_reason
        yield {**_message("assistant", parts), "finish_reason": reason}
    parts = _parts(answer.get("content"))  # /messages
    for item in _dicts(answer.get("output")):  # /responses
        parts += _said(item) if item.get("type") == "message" else _parts([item])
    if parts:
        yield {**_message("assistant", parts), "finish_reason": finish_reason}


def _said(message: dict[str, Any]) -> list[Part]:
    """All parts of a message that has a role."""
    parts = [
        {"type": "reasoning", "content": message[name]}
        for name in ("reasoning", "reasoning_content")
        if isinstance(message.get(name), str)
    ][:1]
    for name in ("content", "text", "refusal", "images"):
        parts += _parts(message.get(name))
    for call in _dicts(message.get("tool_calls")):
        function = call.get("function")
        parts += _parts([{**function, **call, "type": "function_call"}] if function else [call])
    return parts


def _parts(content: Any) -> list[Part]:
    """The parts of a text, of a block or of a list of them."""
    if content is None or content == "":
        return []
    if isinstance(content, list):
        return [_part(block) for block in content]
    return [_part(content)]


def _part(block: Any) -> Part:
    if isinstance(block, str):
        return {"type": "text", "content": block}
    if not isinstance(block, dict):
        return {"type": "value", "value": block}
    kind = str(block.get("type", "object"))
    if isinstance(block.get("text"), str):
        return {"type": "text", "content": block["text"]}
    if kind == "thinking":
        return {"type": "reasoning", "content": str(block.get("thinking", ""))}
    if kind == "reasoning" and isinstance(block.get("reasoning"), str):
        return {"type": "reasoning", "content": block["reasoning"]}
    identity = block.get("call_id") or block.get("tool_use_id") or block.get("id")
    if kind in ("tool_use", "function_call"):
        arguments = block.get("input", block.get("arguments"))
        name = str(block.get("name"))
        return {"type": "tool_call", "id": identity, "name": name, "arguments": arguments}
    if kind in ("tool_result", "function_call_output"):
        response = block.get("content", block.get("output"))
        return {"type": "tool_call_response", "id": identity, "response": response}
    return {**block, "type": kind}


def _message(role: Any, parts: list[Part]) -> dict[str, Any]:
    return {"role": str(role), "parts": parts}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(text: str | None) -> dict[str, Any]:
    value = None if text is None else msgspec.json.decode(text)
    return value if isinstance(value, dict) else {}
