"""OpenRouter's answers for commands, by a plain client: our own traffic is never recorded."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import urljoin

import httpx
import typer

import tachograph
from tachograph.cli.output import stderr
from tachograph.core.headers import RETRY_AFTER, Wanted, retry_after_seconds
from tachograph.errors import TachographError
from tachograph.unrecorded import not_recorded

TIMEOUT_SECONDS = 30.0
BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
LONGEST_WAIT_SECONDS = 60.0
"""A server that asks to wait for longer is asked all the same."""
_RETRY_AFTER = Wanted(*RETRY_AFTER)

BaseUrl = Annotated[
    str,
    typer.Option("--base-url", envvar="OPENROUTER_BASE_URL", metavar="URL", help="Whom to ask."),
]


class Fetcher:
    """Reads answers below a base URL; a context manager. Failures are TachographError."""

    def __init__(self, base_url: str, *, api_key: str | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        if not self.base_url.startswith(("https://", "http://")):
            raise TachographError(f"{base_url!r} is no base URL: it begins with https://")
        headers = {"User-Agent": f"tachograph/{tachograph.__version__}"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._patient = True
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def url(self, path: str, seen_from: str | None = None) -> str:
        """The URL of a path below the base, or of a link in the answer of another URL.

        TachographError when a link leads to another host, since the key would go with it.
        """
        url = self.base_url + path if seen_from is None else urljoin(seen_from, path)
        if httpx.URL(url).host != httpx.URL(self.base_url).host:
            raise TachographError(f"{seen_from} links to another host, which is not asked: {url}")
        return url

    def get(self, url: str, **query: str) -> httpx.Response:
        """The answer, whatever its status."""
        try:
            with not_recorded():
                return self._client.get(url, params=query or None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise TachographError(f"{url} gave no answer: {reason}") from error

    def get_patiently(self, url: str, **query: str) -> httpx.Response:
        """The answer; while it is 429 or 5xx, the next one, after as long as it asks to wait, else
        after BACK_OFF_SECONDS. Whoever did not answer so is asked once for all else."""
        answer = self.get(url, **query)
        for wait in BACK_OFF_SECONDS if self._patient else ():
            if not _is_busy(answer):
                break
            asked = retry_after_seconds(_RETRY_AFTER.among(answer.headers.raw))
            wait = min(wait if asked is None else asked, LONGEST_WAIT_SECONDS)
            why = f"{url} answered {answer.status_code} {answer.reason_phrase}"
            stderr.print(f"{why}: asked again in {wait:.3g} s", markup=False)
            time.sleep(wait)
            answer = self.get(url, **query)
        self._patient = not _is_busy(answer)
        return answer

    def read(self, url: str) -> bytes:
        """The body of a good answer; a server that is busy or in trouble is asked again."""
        answer = self.get_patiently(url)
        if answer.status_code != httpx.codes.OK:
            raise TachographError(f"{url} answered {answer.status_code} {answer.reason_phrase}")
        return answer.content


def _is_busy(answer: httpx.Response) -> bool:
    return answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500
