"""Which URLs are OpenRouter's, and what each is; what a request's head says of SDK and key.

The answers are remembered, since a program calls few URLs and has few clients.
"""

from __future__ import annotations

import hmac
import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tachograph.core.headers import credential
from tachograph.errors import SettingsError
from tachograph.openrouter.endpoints import endpoint_of, job_of, root_of
from tachograph.openrouter.text import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tachograph.openrouter.endpoints import Dialect

logger = logging.getLogger("tachograph")

_MOST = 4096
_PORTS = {"https": 443, "http": 80}


class Target(NamedTuple):
    """A URL that is recorded."""

    host: str
    path: str
    operation_name: str | None
    dialect: Dialect
    job_id: str | None
    """Of the job that is asked for."""


class _Base(NamedTuple):
    scheme: str
    host: str
    port: int | None
    path: str


class Targets:
    """openrouter.ai and its subdomains, and the base URLs that were named."""

    def __init__(self, base_urls: Iterable[str], api_key_salt: str | None = None) -> None:
        self._salt = None if api_key_salt is None else api_key_salt.encode()
        self._bases = [_base(url) for url in base_urls]
        self._known: dict[tuple[Any, ...], Target | None] = {}
        self._sdks: dict[bytes, str] = {}

    def find(self, url: Any) -> Target | None:
        """What a URL of httpx's is; None when it is not recorded."""
        key = (url.scheme, url.raw_host, url.port, url.raw_path)
        try:
            return self._known[key]
        except KeyError:
            pass
        if len(self._known) >= _MOST:
            self._known.clear()
        target = self._known[key] = self._resolve(*key)
        return target

    def sdk(self, user_agent: bytes | None) -> str | None:
        """`openai/3.52.0` for `OpenAI/Python 3.52.0`."""
        if not user_agent:
            return None
        known = self._sdks.get(user_agent)
        if known is None:
            if len(self._sdks) >= _MOST:
                self._sdks.clear()
            known = self._sdks[user_agent] = _sdk(redact(user_agent.decode("latin-1")))
        return known

    def key_hash(self, headers: dict[bytes, bytes]) -> str | None:
        """A salted hash that tells API keys apart; None unless a salt was given."""
        if self._salt is None:
            return None
        key = credential(headers.get(b"authorization", headers.get(b"x-api-key", b"")))
        return hmac.digest(self._salt, key, "sha256")[:12].hex() if key else None

    def _resolve(
        self, scheme: str, raw_host: bytes, port: int | None, raw_path: bytes
    ) -> Target | None:
        host = raw_host.decode("ascii", "replace").lower()
        path = raw_path.split(b"?")[0].decode("ascii", "replace")
        for base in self._bases:
            if (base.scheme, base.host, base.port) == (scheme, host, _port(scheme, port)) and (
                _below(path, base.path)
            ):
                return _target(host, port, path[len(base.path) :])
        if host == "openrouter.ai" or host.endswith(".openrouter.ai"):
            return _target(host, port, path)
        logger.debug("calls to %s://%s are not recorded: no base URL is theirs", scheme, host)
        return None


def _target(host: str, port: int | None, path: str) -> Target:
    path = path[len(root_of(path)) :]
    endpoint = endpoint_of(path)
    shown = f"[{host}]" if ":" in host else host
    if port is not None:
        shown += f":{port}"
    return Target(shown, endpoint.path, endpoint.operation_name, endpoint.dialect, job_of(path))


def _base(url: str) -> _Base:
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:  # beyond 65535
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1:
        raise SettingsError(
            f"{url!r} is no base URL: write it whole, like https://llm.example.com/api/v1"
        )
    return _Base(
        parts.scheme,
        _ascii(parts.hostname),
        _port(parts.scheme, port),
        parts.path.rstrip("/"),
    )


def _ascii(host: str) -> str:
    """The host as clients send it: names beyond ASCII are encoded."""
    if host.isascii():
        return host.lower()
    from idna import IDNAError, encode  # as the clients themselves do, and need

    try:
        return encode(host.lower()).decode()
    except IDNAError as exc:
        raise SettingsError(f"{host!r} is no name of a host: {exc}") from None


def _port(scheme: str, port: int | None) -> int | None:
    return port or _PORTS.get(scheme)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


_OPENAI = re.compile(r"(?:Async)?(OpenAI|Anthropic)/Python (\S+)")
_SPEAKEASY = re.compile(r"speakeasy-sdk/python (\S+) .*?(\S+)$")
_PRODUCT = re.compile(r"([A-Za-z][\w.-]*)/(\S+)")


def _sdk(user_agent: str) -> str:
    if match := _OPENAI.match(user_agent):
        return f"{match[1].lower()}/{match[2]}"
    if match := _SPEAKEASY.match(user_agent):
        return f"{match[2].lower()}/{match[1]}"
    if match := _PRODUCT.match(user_agent):
        return f"{match[1].lower().removeprefix('python-')}/{match[2]}"[:64]
    return user_agent[:64]
