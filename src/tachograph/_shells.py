"""The sync and the async shell around a transport, for any httpx family.

A shell watches and changes nothing: it replaces `response.stream` by a stream that passes on the
same pieces, the same errors and the same close. `make_shells` makes both for `httpx` or `httpx2`,
whose clients insist on stream classes of their own.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from tachograph.unrecorded import unrecorded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import ModuleType, TracebackType

    from tachograph.live import Live
    from tachograph.recorder import Recorder


class Shells(NamedTuple):
    """What records the calls of one family."""

    send: Callable[[Recorder, Callable[[Any], Any], Any], Any]
    """The response that a transport's `handle_request` gives to a request, recorded."""
    send_async: Callable[[Recorder, Callable[[Any], Awaitable[Any]], Any], Awaitable[Any]]
    """The same of `handle_async_request`."""
    transport: type[Any]
    async_transport: type[Any]


def make_shells(hx: ModuleType) -> Shells:
    """The shells over the classes of this family."""

    class WatchedStream(hx.SyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, stream: Any, live: Live) -> None:
            self._stream = stream
            # Let go at the close: httpx leaves response and stream in a cycle, and what hangs on
            # it costs every later garbage collection.
            self._live: Live | None = live

        def __iter__(self) -> Iterator[bytes]:
            live = self._live
            if live is None:  # closed before: the stream itself says so
                yield from self._stream
                return
            feed = live.feed
            try:
                for piece in self._stream:
                    arrived = feed(piece)
                    yield piece
                    live.consumer_ns += perf_counter_ns() - arrived
            except GeneratorExit:
                raise
            except BaseException as exc:
                live.failed(exc)
                raise
            live.exhausted()

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                live, self._live = self._live, None
                if live is not None:
                    live.closed()

        def __del__(self) -> None:
            if self._live is not None:
                self._live.dropped()

    class AsyncPieces:
        # An iterator and no generator: a generator that is left early is closed by the event loop
        # at some later time, and would say so on stderr. One for each `__aiter__`, as the stream
        # itself has: who reads on with a second one (openai's SDK) has not ended the first.
        def __init__(self, stream: Any, live: Live | None) -> None:
            self._next: Callable[[], Awaitable[bytes]] = stream.__aiter__().__anext__
            self._live = live
            self._handed_ns = 0

        def __aiter__(self) -> AsyncPieces:
            return self

        async def __anext__(self) -> bytes:
            live = self._live
            if live is None:  # closed before: the stream itself says so
                return await self._next()
            if self._handed_ns:
                live.consumer_ns += perf_counter_ns() - self._handed_ns
                self._handed_ns = 0
            try:
                piece = await self._next()
            except StopAsyncIteration:
                live.exhausted()
                raise
            except BaseException as exc:
                live.failed(exc)
                raise
            self._handed_ns = live.feed(piece)
            return piece

    class AsyncWatchedStream(hx.AsyncByteStream):  # type: ignore[name-defined, misc]
        def __init__(self, stream: Any, live: Live) -> None:
            self._stream = stream
            self._live: Live | None = live

        def __aiter__(self) -> AsyncPieces:
            return AsyncPieces(self._stream, self._live)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                live, self._live = self._live, None
                if live is not None:
                    live.closed()

        def __del__(self) -> None:
            if self._live is not None:
                self._live.dropped()

    def send(recorder: Recorder, handle: Callable[[Any], Any], request: Any) -> Any:
        live = None if unrecorded.get() else recorder.begin(request)
        if live is None:
            return handle(request)
        unrecorded.set(True)
        try:
            with recorder.current(live):
                response = handle(request)
        except BaseException as exc:
            live.failed(exc)
            raise
        finally:
            unrecorded.set(False)
        _watch(response, live, WatchedStream)
        return response

    async def send_async(
        recorder: Recorder, handle: Callable[[Any], Awaitable[Any]], request: Any
    ) -> Any:
        live = None if unrecorded.get() else recorder.begin(request)
        if live is None:
            return await handle(request)
        unrecorded.set(True)
        try:
            with recorder.current(live):
                response = await handle(request)
        except BaseException as exc:
            live.failed(exc)
            raise
        finally:
            unrecorded.set(False)
        _watch(response, live, AsyncWatchedStream)
        return response

    class RecordingTransport(hx.BaseTransport):  # type: ignore[name-defined, misc]
        """Records the OpenRouter calls that pass through the transport that it wraps.

        Without a transport it makes the family's own. Closing it closes that transport.
        """

        def __init__(self, recorder: Recorder, transport: Any = None) -> None:
            self.recorder = recorder
            self.wrapped = hx.HTTPTransport() if transport is None else transport

        def handle_request(self, request: Any) -> Any:
            return send(self.recorder, self.wrapped.handle_request, request)

        def __enter__(self) -> RecordingTransport:
            self.wrapped.__enter__()
            return self

        def __exit__(
            self,
            exc_type: type[BaseException] | None = None,
            exc_value: BaseException | None = None,
            traceback: TracebackType | None = None,
        ) -> None:
            self.wrapped.__exit__(exc_type, exc_value, traceback)

        def close(self) -> None:
            self.wrapped.close()

    class AsyncRecordingTransport(hx.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        """Records the OpenRouter calls that pass through the async transport that it wraps.

        Without a transport it makes the family's own. Closing it closes that transport.
        """

        def __init__(self, recorder: Recorder, transport: Any = None) -> None:
            self.recorder = recorder
            self.wrapped = hx.AsyncHTTPTransport() if transport is None else transport

        async def handle_async_request(self, request: Any) -> Any:
            return await send_async(self.recorder, self.wrapped.handle_async_request, request)

        async def __aenter__(self) -> AsyncRecordingTransport:
            await self.wrapped.__aenter__()
            return self

        async def __aexit__(
            self,
            exc_type: type[BaseException] | None = None,
            exc_value: BaseException | None = None,
            traceback: TracebackType | None = None,
        ) -> None:
            await self.wrapped.__aexit__(exc_type, exc_value, traceback)

        async def aclose(self) -> None:
            await self.wrapped.aclose()

    for made in (RecordingTransport, AsyncRecordingTransport):
        made.__module__ = f"tachograph.{hx.__name__}"
        made.__qualname__ = made.__name__
    return Shells(send, send_async, RecordingTransport, AsyncRecordingTransport)


def _watch(response: Any, live: Live, watched: type[Any]) -> None:
    try:
        if response.is_closed:  # a cache or a mock handed it over already read
            live.head(response.status_code, response.headers.raw, decoded=True)
            live.feed(response.content)
            live.exhausted()
        else:
            live.head(response.status_code, response.headers.raw)
            response.stream = watched(response.stream, live)
    except Exception as exc:  # a transport that hands over something else than a response
        live.dropped()
        live.troubled(exc)
