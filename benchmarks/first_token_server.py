"""Streams two chunks, of which the first tells when it was sent; prints its port when it starts."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WRITING_SECONDS = 0.005
"""From the head to the first chunk, so that they arrive apart as a model's do."""


class Answer(BaseHTTPRequestHandler):
    """Chunked, on connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        time.sleep(WRITING_SECONDS)
        self._chunk({"delta": {"content": str(time.perf_counter_ns())}})
        self._chunk({"delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, choice: dict[str, Any]) -> None:
        message = json.dumps({"choices": [choice]}, separators=(",", ":"))
        event = f"data: {message}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def log_message(self, *_: object) -> None:
        """Says nothing: standard error is the benchmark's."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    print(server.server_port, flush=True)
    server.serve_forever()
