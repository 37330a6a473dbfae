"""Recording every OpenRouter call of the process: the transports' classes are patched in place.

It changes classes that all of the process shares, so it happens only when asked for. Calls that a
client's own recording sees already are left to that one.
"""

from __future__ import annotations

import sys
import threading
from functools import wraps
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from tachograph._shells import Shells
    from tachograph.recorder import Recorder

_SYNC, _ASYNC = "handle_request", "handle_async_request"

_TRANSPORTS = {
    "httpx": (("HTTPTransport", _SYNC), ("AsyncHTTPTransport", _ASYNC)),
    "httpx2": (("HTTPTransport", _SYNC), ("AsyncHTTPTransport", _ASYNC)),
    # async clients that send by aiohttp
    "httpx_aiohttp.transport": (("AiohttpTransport", _ASYNC),),
    "openai._vendor.httpx_aiohttp.transport": (("AiohttpTransport", _ASYNC),),
    "litellm.llms.custom_httpx.aiohttp_transport": (("LiteLLMAiohttpTransport", _ASYNC),),
}
"""By module, the classes whose method sends a request over the network."""


class _Patch(NamedTuple):
    transport: type[Any]
    method: str
    original: Callable[..., Any]
    ours: Callable[..., Any]


_recorder: Recorder | None = None
_patches: list[_Patch] = []
_changing = threading.RLock()


def instrument_all(recorder: Recorder) -> None:
    """Records every OpenRouter call of this process from now on, whichever client sends it.

    It reaches httpx and httpx2, and the aiohttp transports of the openai SDK and of litellm, also
    those that are imported later; transports of other kinds need `instrument`. Doing it again
    changes nothing but the recorder.
    """
    global _recorder
    with _changing:
        _recorder = recorder
        for name in _TRANSPORTS:
            module = sys.modules.get(name)
            if module is not None:
                _patch(module, name)
        if _later not in sys.meta_path:
            sys.meta_path.insert(0, _later)


def uninstrument_all() -> None:
    """Takes the recording away again: the classes are what they were."""
    global _recorder
    with _changing:
        _recorder = None
        if _later in sys.meta_path:
            sys.meta_path.remove(_later)
        for patch in list(_patches):
            # what somebody put on top of ours stays, and ours below it only passes on
            if vars(patch.transport).get(patch.method) is patch.ours:
                setattr(patch.transport, patch.method, patch.original)
                _patches.remove(patch)


def _patch(module: ModuleType, name: str) -> None:
    with _changing:
        for class_name, method in _TRANSPORTS[name]:
            transport = getattr(module, class_name, None)
            original = vars(transport).get(method) if transport is not None else None
            if transport is None or original is None or _is_patched(transport):
                continue
            ours = _recording(original, _shells_of(transport), method)
            setattr(transport, method, ours)
            _patches.append(_Patch(transport, method, original, ours))


def _is_patched(transport: type[Any]) -> bool:
    return any(patch.transport is transport for patch in _patches)


def _recording(original: Callable[..., Any], shells: Shells, method: str) -> Callable[..., Any]:
    """The method, recorded while there is a recorder."""
    if method == _SYNC:
        send = shells.send

        @wraps(original)
        def handle_request(self: Any, request: Any) -> Any:
            recorder = _recorder
            if recorder is None:
                return original(self, request)
            return send(recorder, original.__get__(self), request)

        return handle_request
    send_async = shells.send_async

    @wraps(original)
    async def handle_async_request(self: Any, request: Any) -> Any:
        recorder = _recorder
        if recorder is None:
            return await original(self, request)
        return await send_async(recorder, original.__get__(self), request)

    return handle_async_request


def _shells_of(transport: type[Any]) -> Shells:
    """Those of the family whose responses this transport gives."""
    httpx2 = sys.modules.get("httpx2")
    if httpx2 is not None and issubclass(
        transport, httpx2.BaseTransport | httpx2.AsyncBaseTransport
    ):
        from tachograph.httpx2 import shells
    else:
        from tachograph.httpx import shells
    return shells


class _Later(MetaPathFinder):
    """Patches the modules of `_TRANSPORTS` right after they have been imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _TRANSPORTS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _patch_after(spec.loader, name)
                return spec
        return None


def _patch_after(loader: Any, name: str) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        if _recorder is not None:
            _patch(module, name)

    # on this loader, which is made for this one import, so that all else it can do stays
    loader.exec_module = exec_module


_later = _Later()
