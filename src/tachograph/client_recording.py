"""Recording under a client that exists: its transports are wrapped where they stand.

So its proxies, limits, timeouts and redirects stay as they are, which a transport given to a new
client would turn off. For that the clients' `_transport` and `_mounts` are replaced, and the
attributes are known under which SDK objects hold their client: the only private names of other
libraries that this project touches, all in this file.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from tachograph.errors import TachographError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tachograph.recorder import Recorder

T = TypeVar("T")

FAMILIES = ("httpx", "httpx2")

# Where SDK objects hold what leads to their client.
_LEADS = (
    "_client",  # openai, anthropic
    "sdk_configuration",  # openrouter
    "client",  # openrouter's configuration, langchain, instructor, pydantic-ai
    "async_client",
    "root_client",  # langchain-openai
    "root_async_client",
    "provider",  # pydantic-ai's models
    "_provider",
    "model",  # pydantic-ai's agents
)
_STEPS = 4


def instrument(client: T, recorder: Recorder) -> T:
    """Records the OpenRouter calls of this client from now on, and gives it back.

    `client` is a client of httpx or httpx2, sync or async, or an SDK object that holds one
    (openai, openrouter, langchain, pydantic-ai, ...). Doing it again changes nothing but the
    recorder. Raises TachographError when no client is found.
    """
    for http_client in _clients(client):
        recording = _recording_transport(http_client)

        def wrap(transport: Any, recording: Any = recording) -> Any:
            if isinstance(transport, recording):
                transport.recorder = recorder
                return transport
            return recording(recorder, transport)

        _replace(http_client, wrap)
    return client


def uninstrument(client: T) -> T:
    """Takes the recording away again, and gives the client back."""
    for http_client in _clients(client):
        recording = _recording_transport(http_client)

        def unwrap(transport: Any, recording: Any = recording) -> Any:
            while isinstance(transport, recording):
                transport = transport.wrapped
            return transport

        _replace(http_client, unwrap)
    return client


def _replace(client: Any, change: Callable[[Any], Any]) -> None:
    client._transport = change(client._transport)
    for pattern, transport in client._mounts.items():
        if transport is not None:
            client._mounts[pattern] = change(transport)


def _clients(client: object) -> list[Any]:
    found = list(dict.fromkeys(_find(client, _STEPS)))
    if not found:
        raise TachographError(
            f"{type(client).__name__} is no client of httpx or httpx2, and none was found in it: "
            "give its HTTP client to instrument(), or tachograph.httpx.RecordingTransport to it"
        )
    return found


def _find(holder: object, steps: int) -> Iterator[Any]:
    if _family(holder) is not None:
        yield holder
        return
    if steps:
        for name in _LEADS:
            inner = getattr(holder, name, None)
            if inner is not None and not isinstance(inner, str | int | type):
                yield from _find(inner, steps - 1)


def _family(client: object) -> str | None:
    for family in FAMILIES:
        module = sys.modules.get(family)
        if module is not None and isinstance(client, module.Client | module.AsyncClient):
            return family
    return None


def _recording_transport(client: Any) -> type[Any]:
    """The recording transport of the client's family, sync or async as it is."""
    if _family(client) == "httpx":
        from tachograph import httpx as shells
    else:
        from tachograph import httpx2 as shells  # type: ignore[no-redef]
    is_async = isinstance(client, sys.modules[str(_family(client))].AsyncClient)
    return shells.AsyncRecordingTransport if is_async else shells.RecordingTransport
