"""Clients of both families, sync and async, driven in one way: a test is written once, as async.

The sync ones are not run in threads: their calls block the event loop, which has nothing else to
do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import httpx2

import tachograph.httpx
import tachograph.httpx2
from tachograph import Recorder


class Kind(NamedTuple):
    """A family, and whether its client is async."""

    hx: ModuleType
    is_async: bool

    def __str__(self) -> str:
        return f"{self.hx.__name__}-{'async' if self.is_async else 'sync'}"

    def transport(self, recorder: Recorder, **options: Any) -> Any:
        """A recording transport over one of the family's own with these options."""
        shells = tachograph.httpx if self.hx is httpx else tachograph.httpx2
        if self.is_async:
            own = self.hx.AsyncHTTPTransport(**options)
            return shells.AsyncRecordingTransport(recorder, own)
        return shells.RecordingTransport(recorder, self.hx.HTTPTransport(**options))

    def client(self, **options: Any) -> Client:
        made = (self.hx.AsyncClient if self.is_async else self.hx.Client)(**options)
        return Client(made, self.is_async)


KINDS = [Kind(hx, is_async) for hx in (httpx, httpx2) for is_async in (False, True)]


class Client:
    """A client whose methods are all awaited."""

    def __init__(self, client: Any, is_async: bool) -> None:
        self.raw = client
        self.is_async = is_async

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.is_async:
            await self.raw.aclose()
        else:
            self.raw.close()

    async def post(self, url: str, **options: Any) -> Any:
        answer = self.raw.post(url, **options)
        return await answer if self.is_async else answer

    async def open(self, url: str, **options: Any) -> Response:
        """The response of a POST whose body has not been read."""
        request = self.raw.build_request("POST", url, **options)
        response = self.raw.send(request, stream=True)
        return Response(await response if self.is_async else response, self.is_async)

    @asynccontextmanager
    async def stream(self, url: str, **options: Any) -> AsyncIterator[Response]:
        response = await self.open(url, **options)
        try:
            yield response
        finally:
            await response.close()


class Response:
    """A response whose methods are all awaited."""

    def __init__(self, response: Any, is_async: bool) -> None:
        self.raw = response
        self.is_async = is_async

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it came over the wire."""
        if self.is_async:
            async for piece in self.raw.aiter_raw():
                yield piece
        else:
            for piece in self.raw.iter_raw():
                yield piece

    async def read(self) -> bytes:
        body: bytes = await self.raw.aread() if self.is_async else self.raw.read()
        return body

    async def close(self) -> None:
        if self.is_async:
            await self.raw.aclose()
        else:
            self.raw.close()
