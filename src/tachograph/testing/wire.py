"""HTTP/1.1 on a socket: a request read, an answer sent step by step."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, BinaryIO

from tachograph.testing.answers import RESET, Answer, End, Hold, Pause


@dataclass(frozen=True)
class Request:
    """What a client sent. Header names are in lower case."""

    method: str
    path: str
    """With the API's root, without the query: `/api/v1/chat/completions`."""
    query: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """1, 2, ...: in the order in which the server accepted them."""

    def json(self) -> Any:
        """The body read as JSON; ValueError when it is not."""
        return json.loads(self.body)


def read_request(stream: BinaryIO, connection: int) -> Request | None:
    """The next request of this connection; None when the client has closed it."""
    line = stream.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    method, target, _ = line.split(" ")
    headers: dict[str, str] = {}
    while field := stream.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, _read_body(stream, headers), connection)


def _read_body(stream: BinaryIO, headers: Mapping[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return stream.read(int(headers.get("content-length", "0")))
    pieces = []
    while size := int(stream.readline().partition(b";")[0], 16):
        pieces.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(pieces)


def send(
    connection: socket.socket,
    answer: Answer,
    *,
    pause: Callable[[float], object],
    hold: Callable[[Hold], object],
) -> bool:
    """Carries out an answer; whether the connection can take another request.

    OSError when the client has gone. `pause` and `hold` wait, so that a closing server can cut
    both short.
    """
    head = _head(answer)
    chunked = answer.framing == "chunked"
    for step in answer.steps:
        if isinstance(step, bytes):
            framed = b"%x\r\n%b\r\n" % (len(step), step) if chunked and step else step
            connection.sendall(head + framed)
            head = b""
        elif isinstance(step, Pause):
            pause(step.seconds)
        elif isinstance(step, Hold):
            hold(step)
        else:
            _end(connection, step)
            return False
    connection.sendall(head + (b"0\r\n\r\n" if chunked else b""))
    return answer.framing != "close"


def _head(answer: Answer) -> bytes:
    phrases = {status.value: status.phrase for status in HTTPStatus}
    framing = {
        "chunked": "Transfer-Encoding: chunked",
        "length": f"Content-Length: {len(answer.body)}",
        "close": "Connection: close",
    }
    lines = [
        f"HTTP/1.1 {answer.status} {phrases.get(answer.status, '')}",
        f"Date: {formatdate(usegmt=True)}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
        framing[answer.framing],
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _end(connection: socket.socket, how: End) -> None:
    if how is RESET:
        # no lingering: the kernel sends RST instead of FIN
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
