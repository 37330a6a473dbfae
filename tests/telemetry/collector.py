"""A collector of OTLP over HTTP that takes spans, refuses them, is slow, or never answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Manner = Literal["takes", "refuses", "slow", "hangs"]

SLOW_SECONDS = 3.0


class Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, manner: Manner) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manner = manner
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.requests = 0
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest.FromString(body)
        for resource in sent.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        if self.server.manner == "hangs":
            self.server.closing.wait()
            return
        if self.server.manner == "slow":
            self.server.closing.wait(SLOW_SECONDS)
        if self.server.manner == "refuses":
            self.send_response(503)
        else:
            self.server.take(body)
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextmanager
def collecting(manner: Manner = "takes") -> Iterator[Collector]:
    collector = Collector(manner)
    thread = threading.Thread(target=collector.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield collector
    finally:
        collector.closing.set()
        collector.shutdown()
        thread.join()
        collector.server_close()
