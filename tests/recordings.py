"""Recorded exchanges with OpenRouter, as they were on the wire.

They lie outside this project: `recordings()` is empty where they are not there. Cassettes that
hold a parsed body are written as JSON again, with the digits of their numbers kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

FOLDER = Path(__file__).parents[2] / "shared" / "openrouter"

_SSE = {"content-type": "text/event-stream"}
_JSON = {"content-type": "application/json"}
_NOT_OF_THE_BODY = ("transfer-encoding", "content-length", "content-encoding", "connection")
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Recording:
    """One exchange. The body is what remains when transfer and content codings are undone."""

    name: str
    method: str
    path: str
    """Below the API's root."""
    request_body: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    expected: dict[str, Any] | None
    """Its line of the index; None for a transcription, which has none."""

    @property
    def streamed(self) -> bool:
        return self.headers["content-type"].startswith("text/event-stream")


@cache
def recordings() -> tuple[Recording, ...]:
    """All exchanges of the index, and the transcriptions of whole bodies and streams."""
    if not FOLDER.is_dir():
        return ()
    return (*_indexed(), *_transcribed())


def recorded_calls() -> tuple[Recording, ...]:
    """Those of models, without the readings of the catalogue."""
    return tuple(r for r in recordings() if r.path != "/models")


class _Loader(yaml.SafeLoader):
    """Leaves numbers with a fraction or an exponent as they were written."""


class _Number(str):
    """A number's own digits."""


_FLOAT = "tag:yaml.org,2002:float"
_Loader.add_constructor(_FLOAT, lambda loader, node: _Number(node.value))
# YAML 1.1 takes `3e-07`, without a point, for text
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"-?\d+[eE][+-]?\d+"), list("-0123456789"))


def _numbers(value: Any) -> Any:
    if isinstance(value, _Number):
        return msgspec.Raw(value.encode())
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return value


def _indexed() -> Iterator[Recording]:
    cassettes: dict[str, Any] = {}
    for text in (FOLDER / "INDEX.jsonl").read_text().splitlines():
        line = json.loads(text)
        file = line["file"]
        if file not in cassettes:
            cassettes[file] = yaml.load((FOLDER / file).read_text(), _Loader)
        exchange = cassettes[file]["interactions"][line["n"]]
        request, response = exchange["request"], exchange["response"]
        headers = {name.lower(): values[0] for name, values in response["headers"].items()}
        yield Recording(
            name=f"{Path(file).parts[0]}/{Path(file).stem}-{line['n']}",
            method=request["method"],
            path=urlsplit(request["uri"]).path.removeprefix("/api/v1"),
            request_body=_body(request, request.get("body")),
            status=response["status"]["code"],
            headers={n: v for n, v in headers.items() if n not in _NOT_OF_THE_BODY},
            body=_body(response, (response.get("body") or {}).get("string")),
            expected=line,
        )


def _body(message: dict[str, Any], text: str | None) -> bytes:
    if "parsed_body" in message:
        return _encode(_numbers(message["parsed_body"]))
    return (text or "").encode()


class _ErrorLine(msgspec.Struct):
    http_status: int
    body: msgspec.Raw
    headers: dict[str, str] = {}
    sse: bool = False
    endpoint: str = ""


def _transcribed() -> Iterator[Recording]:
    other = FOLDER / "transcribed" / "other"
    for number, line in enumerate(_lines(other / "chat-completions.2026-10-04.jsonl")):
        yield _transcription(f"chat-{number}", "/chat/completions", 200, _JSON, line)
    for number, line in enumerate(_lines(other / "error-bodies.jsonl")):
        error = msgspec.json.decode(line, type=_ErrorLine)
        body = bytes(error.body)
        headers = {**(_SSE if error.sse else _JSON), **error.headers}
        body = b"data: " + body + b"\n\n" if error.sse else body
        path = "/messages" if error.endpoint == "/messages" else "/chat/completions"
        yield _transcription(f"error-{number}", path, error.http_status, headers, body)
    for file in sorted(other.glob("messages-stream*.sse")):
        yield _transcription(file.stem, "/messages", 200, _SSE, file.read_bytes())
    for number, line in enumerate(_lines(other / "messages-usage.jsonl")):
        usage = msgspec.json.decode(line, type=dict[str, msgspec.Raw])["usage"]
        body = b'{"type":"message","stop_reason":"end_turn","usage":%b}' % usage
        yield _transcription(f"messages-{number}", "/messages", 200, _JSON, body)
    for number, line in enumerate(_lines(other / "usage-web-search.2026-09-15.jsonl")):
        yield _transcription(f"web-search-{number}", "/chat/completions", 200, _JSON, line)
    (image,) = _lines(other / "image-via-chat-usage-and-generation.2026-04-27.json")
    body = msgspec.json.decode(image, type=dict[str, msgspec.Raw])[
        "chat_completion_trimmed_by_author"
    ]
    yield _transcription("image-via-chat", "/chat/completions", 200, _JSON, bytes(body))


def _transcription(
    name: str, path: str, status: int, headers: dict[str, str], body: bytes
) -> Recording:
    request = {
        "model": "as/transcribed",
        "messages": [],
        "stream": "event" in headers["content-type"],
    }
    return Recording(
        name=f"transcribed-{name}",
        method="POST",
        path=path,
        request_body=_encode(request),
        status=status,
        headers=headers,
        body=body,
        expected=None,
    )


def _lines(file: Path) -> list[bytes]:
    return [line for line in file.read_bytes().splitlines() if line.strip()]
