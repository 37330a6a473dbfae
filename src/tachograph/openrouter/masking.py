"""Prompts and answers as JSON values: what of them may be kept.

`Masking.clean` takes out API keys and account ids, and puts a word such as `[image/png, 1200
characters]` in the place of media and of long rows of numbers. `Masking.outline` leaves no text at
all: roles, kinds, names of tools, and lengths, by an allow-list. Both count what they took out.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec

from tachograph.openrouter.text import clean, redact

CONTENT_BYTES = 256 * 1024
"""A request or an answer whose JSON is longer is cut."""
DEPTH = 48
NUMBERS = 64
"""Longer rows of numbers (embeddings) are left out."""

_LENGTHS = (16384, 2048, 256)
"""Too long a value gets its strings cut to this many characters, until it fits."""

_DATA_URL = re.compile(r"data:([\w.+/-]{0,100})[^,\s\"]{0,100};base64,[\w+/=-]*")
_BEARER = re.compile(r"\bBearer\s+[\w.~+/-]{8,}=*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_KINDS = ("media_type", "mime_type", "format")
_MARKER = re.compile(r"\[(?:[\w.+/-]{1,100}, )?\d+ (?:characters|numbers|bytes)\]")
_WORD = re.compile(r"(?!sk-)[\w.:/+-]{1,64}")

_MEDIA = {"b64_json": "image", "file_data": "file"}

# What an outline goes into, and which of its words are no content.
_CONTAINERS = frozenset(
    (
        "audio",
        "custom",
        "delta",
        "file",
        "function",
        "image_url",
        "input_audio",
        "message",
        "source",
        "video_url",
    )
)
_LISTS = frozenset(
    (
        "choices",
        "content",
        "data",
        "documents",
        "images",
        "input",
        "messages",
        "output",
        "prompt",
        "summary",
        "system",
        "tool_calls",
        "tools",
    )
)
_TEXTS = frozenset(
    (
        "arguments",
        "content",
        "data",
        "description",
        "document",
        "file_data",
        "b64_json",
        "input",
        "instructions",
        "output",
        "partial_json",
        "prompt",
        "query",
        "reasoning",
        "reasoning_content",
        "refusal",
        "system",
        "text",
        "thinking",
        "transcript",
        "url",
    )
)
_WORDS = frozenset(
    ("finish_reason", "format", "media_type", "mime_type", "role", "stop_reason", "type")
)


class Masking:
    """Makes one call's content fit to be kept."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        """What was taken out, how often: `media`, `secrets`, `numbers`, `depth`, `text`, ..."""

    def clean(self, value: Any) -> Any:
        """The value without keys and media."""
        return self._clean(value, 0)

    def outline(self, value: Any) -> Any:
        """The shape of a cleaned value, without any text."""
        return self._outline(value, "", 0)

    def fitted(self, value: Any) -> str | None:
        """JSON of at most CONTENT_BYTES; None for None. TypeError when it cannot be JSON."""
        if value is None:
            return None
        text = msgspec.json.encode(value)
        for most in _LENGTHS:
            if len(text) <= CONTENT_BYTES:
                return text.decode()
            self.left_out["cut"] += 1
            text = msgspec.json.encode(_cut(msgspec.json.decode(text), most))
        if len(text) > CONTENT_BYTES:
            text = msgspec.json.encode(f"[{len(text)} bytes]")
        return text.decode()

    def _clean(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if depth >= DEPTH and isinstance(value, dict | list | tuple):
            self.left_out["depth"] += 1
            return "[nested deeper]"
        if isinstance(value, dict):
            kind = next((value[k] for k in _KINDS if isinstance(value.get(k), str)), None)
            return {
                self._secrets(clean(str(name))): self._medium(inner, _MEDIA.get(name) or kind)
                if isinstance(inner, str) and (name in _MEDIA or (name == "data" and kind))
                else self._clean(inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            if len(value) > NUMBERS and all(isinstance(item, int | float) for item in value):
                self.left_out["numbers"] += 1
                return f"[{len(value)} numbers]"
            return [self._clean(item, depth + 1) for item in value]
        return value

    def _text(self, text: str) -> str:
        if "base64," in text:
            text = _DATA_URL.sub(lambda found: self._medium(found[0], found[1] or "data"), text)
        if len(text) >= 200 and _BASE64.fullmatch(text):
            return self._medium(text, "base64")
        return self._secrets(clean(text))

    def _medium(self, text: str, kind: str | None) -> str:
        if not text or text.startswith(("https://", "http://")) or _MARKER.fullmatch(text):
            return self._secrets(clean(text))
        self.left_out["media"] += 1
        shown = kind if kind and _WORD.fullmatch(kind) else "data"
        return f"[{shown}, {len(text)} characters]"

    def _secrets(self, text: str) -> str:
        kept = _BEARER.sub("[redacted]", redact(text))
        if kept != text:
            self.left_out["secrets"] += 1
        return kept

    def _outline(self, value: Any, name: str, depth: int) -> Any:
        if isinstance(value, str):
            if name in _WORDS and _WORD.fullmatch(value):
                return value
            self.left_out["text"] += 1
            return value if _MARKER.fullmatch(value) else f"[{len(value)} characters]"
        if isinstance(value, list):
            return [self._outline(item, name, depth + 1) for item in value]
        if isinstance(value, dict):
            if depth and name in _TEXTS and not (name in _LISTS or name in _CONTAINERS):
                return self._outline(msgspec.json.encode(value).decode(), name, depth)
            return self._members(value, name, depth)
        return value if name == "index" else None

    def _members(self, value: dict[str, Any], of: str, depth: int) -> dict[str, Any]:
        shape: dict[str, Any] = {}
        for name, inner in value.items():
            if name == "name" and "role" not in value and _names_a_tool(value, of):
                shape[name] = inner if _WORD.fullmatch(str(inner)) else "[name]"
            elif isinstance(inner, dict) and name in _TEXTS and name not in _CONTAINERS:
                # arguments of a tool: its keys are the caller's own words
                shape[name] = self._outline(msgspec.json.encode(inner).decode(), name, depth)
            elif (
                (isinstance(inner, dict) and name in _CONTAINERS)
                or (isinstance(inner, list) and name in _LISTS)
                or (isinstance(inner, str) and name in _TEXTS | _WORDS)
            ):
                shape[name] = self._outline(inner, name, depth + 1)
        return shape


def _names_a_tool(value: dict[str, Any], of: str) -> bool:
    return of in ("function", "tools", "tool_calls", "custom") or value.get("type") in (
        "function_call",
        "tool_use",
    )


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}[{len(value) - most} characters]"
    if isinstance(value, dict):
        return {name: _cut(inner, most) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cut(item, most) for item in value]
    return value
