"""Answers put together from what passes by: the content of a stream in the form of a plain answer.

What is kept is bounded: ROOM characters, of which every part that begins costs some as well. The
rest is counted. Nothing here raises.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

import msgspec

from tachograph.openrouter.answer import Answer
from tachograph.openrouter.masking import CONTENT_BYTES, Masking
from tachograph.openrouter.messages import MessagesAnswer
from tachograph.openrouter.responses import ResponsesAnswer
from tachograph.openrouter.text import readings

ROOM = CONTENT_BYTES
_PART = 256
"""Characters that the beginning of a part counts for."""


class Assembly:
    """Fed with the events of a stream, or with a whole answer."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._room = ROOM
        self._whole: Any = None
        self._error: Any = None

    def body(self, data: bytes) -> None:
        """Takes a whole JSON answer."""
        self._whole = _read(data)

    def event(self, data: bytes) -> None:
        """Takes the data of one event."""
        event = _read(data)
        if not isinstance(event, dict):
            return
        if event.get("error"):
            self._error = self._masking.clean(event["error"])
        try:
            self._event(event)
        except Exception:  # a form that nobody has foreseen; its text is not for a log
            self._masking.left_out["unread"] += 1

    def answer(self) -> Any:
        """What there is of the answer; None when nothing came."""
        if self._whole is not None:
            return self._whole
        answer = self._together()
        if self._error is not None:
            answer["error"] = self._error
        return answer or None

    def _event(self, event: dict[str, Any]) -> None:
        raise NotImplementedError

    def _together(self) -> dict[str, Any]:
        raise NotImplementedError

    def _part(self, parts: dict[Any, dict[str, Any]], index: Any) -> dict[str, Any]:
        """The part of that index; a new one when there is room for it, else one that is lost."""
        if index not in parts:
            if self._room < _PART:
                self._masking.left_out["cut"] += 1
                return {}
            self._room -= _PART
            parts[index] = {}
        return parts[index]

    def _grow(self, part: dict[str, Any], name: str, piece: Any) -> None:
        """Adds a piece of text."""
        if not isinstance(piece, str) or not piece:
            return
        if len(piece) > self._room:
            self._masking.left_out["cut"] += 1
            piece = piece[: self._room]
        self._room -= len(piece)
        text = part.get(name)
        if not isinstance(text, StringIO):
            text = part[name] = StringIO()
        text.write(piece)

    def _keep(self, part: dict[str, Any], name: str, value: Any) -> None:
        """Sets a short value."""
        if value is not None and value != "":
            part[name] = self._masking.clean(value) if isinstance(value, str) else value


class _Chat(Assembly):
    """/chat/completions and /completions."""

    def __init__(self, masking: Masking) -> None:
        super().__init__(masking)
        self._choices: dict[Any, dict[str, Any]] = {}

    def _event(self, event: dict[str, Any]) -> None:
        for said in event.get("choices") or ():
            choice = self._part(self._choices, said.get("index", 0))
            self._grow(choice, "text", said.get("text"))
            self._keep(choice, "finish_reason", said.get("finish_reason"))
            delta = said.get("delta") or {}
            message = choice.setdefault("message", {})
            self._keep(message, "role", delta.get("role"))
            for name in ("content", "reasoning", "reasoning_content", "refusal"):
                self._grow(message, name, delta.get(name))
            for call in delta.get("tool_calls") or ():
                self._tool_call(message.setdefault("tool_calls", {}), call)
            for image in delta.get("images") or ():
                image = self._masking.clean(image)
                images = message.setdefault("images", {})
                self._part(images, len(images)).update(image)
            if audio := delta.get("audio"):
                sound = message.setdefault("audio", {})
                self._grow(sound, "transcript", audio.get("transcript"))
                if isinstance(audio.get("data"), str):
                    sound["data"] = sound.get("data", 0) + len(audio["data"])

    def _tool_call(self, calls: dict[Any, dict[str, Any]], piece: dict[str, Any]) -> None:
        call = self._part(calls, piece.get("index", 0))
        self._keep(call, "id", piece.get("id"))
        self._keep(call, "type", piece.get("type"))
        said = piece.get("function") or {}
        function = call.setdefault("function", {})
        self._keep(function, "name", said.get("name"))
        self._grow(function, "arguments", said.get("arguments"))

    def _together(self) -> dict[str, Any]:
        choices = []
        for index, choice in self._choices.items():
            message = choice.get("message") or {}
            for name in ("tool_calls", "images"):
                if name in message:
                    message[name] = list(message[name].values())
            if isinstance(message.get("audio", {}).get("data"), int):
                self._masking.left_out["media"] += 1
                message["audio"]["data"] = f"[audio, {message['audio']['data']} characters]"
            choices.append({"index": index, **{k: v for k, v in choice.items() if v}})
        return {"choices": _texts(choices)} if choices else {}


class _Responses(Assembly):
    """/responses: the last event repeats the whole output."""

    def __init__(self, masking: Masking) -> None:
        super().__init__(masking)
        self._items: dict[Any, dict[str, Any]] = {}
        self._output: Any = None
        self._status: Any = None

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type") or ""
        response = event.get("response")
        if isinstance(response, dict):
            self._status = response.get("status") or self._status
            if response.get("output"):
                self._output = self._masking.clean(response["output"])
            if response.get("error"):
                self._error = self._masking.clean(response["error"])
        elif kind == "response.output_item.added":
            item = self._part(self._items, event.get("output_index", 0))
            for name in ("type", "role", "name", "call_id"):
                self._keep(item, name, event["item"].get(name))
        elif kind.endswith(".delta"):
            item = self._part(self._items, event.get("output_index", 0))
            self._grow(item, _FIELDS.get(kind.split(".")[1], "text"), event.get("delta"))

    def _together(self) -> dict[str, Any]:
        output = self._output or _texts(list(self._items.values()))
        return {"status": self._status, "output": output} if output or self._status else {}


_FIELDS = {
    "output_text": "text",
    "function_call_arguments": "arguments",
    "reasoning_text": "reasoning",
    "reasoning_summary_text": "reasoning",
    "reasoning": "reasoning",
    "refusal": "refusal",
}


class _Messages(Assembly):
    """/messages: blocks that begin, grow and end."""

    def __init__(self, masking: Masking) -> None:
        super().__init__(masking)
        self._message: dict[str, Any] = {}
        self._blocks: dict[Any, dict[str, Any]] = {}

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self._keep(self._message, "role", event["message"].get("role"))
        elif kind == "content_block_start":
            block = self._part(self._blocks, event.get("index", 0))
            for name in ("type", "id", "name"):
                self._keep(block, name, event["content_block"].get(name))
            for name in ("text", "thinking"):
                self._grow(block, name, event["content_block"].get(name))
        elif kind == "content_block_delta":
            block = self._part(self._blocks, event.get("index", 0))
            for name, field in (
                ("text", "text"),
                ("thinking", "thinking"),
                ("partial_json", "input"),
            ):
                self._grow(block, field, event["delta"].get(name))
        elif kind == "message_delta":
            self._keep(self._message, "stop_reason", event["delta"].get("stop_reason"))

    def _together(self) -> dict[str, Any]:
        if not self._message and not self._blocks:
            return {}
        return {**self._message, "content": _texts(list(self._blocks.values()))}


def assembly_for(answer: Answer, masking: Masking) -> Assembly:
    """An empty assembly for the dialect of this answer, to be fed."""
    if isinstance(answer, ResponsesAnswer):
        return _Responses(masking)
    return (_Messages if isinstance(answer, MessagesAnswer) else _Chat)(masking)


def _texts(value: Any) -> Any:
    """With each growing text as the text that it has become."""
    if isinstance(value, StringIO):
        return value.getvalue()
    if isinstance(value, dict):
        return {name: _texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_texts(inner) for inner in value]
    return value


def _read(data: bytes) -> Any:
    for text in readings(data):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None
