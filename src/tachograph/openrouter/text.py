"""Text from outside made fit to be kept: without API keys, without what databases refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from json import detect_encoding
from typing import Any

from tachograph.core.skim import Skim

TEXT_CHARACTERS = 512
"""No id, name or word of an answer is longer."""

# OpenRouter's keys and those of providers. Where they are known by more than `sk-` they are found
# in the middle of a word as well.
_KEY = (
    r"(?:(?<![A-Za-z0-9])sk-|sk-(?:or-v\d|ant|proj|svcacct)-)[A-Za-z0-9_-]{8,}"
    r"|(?<![A-Za-z0-9])(?:AIza|gsk_|xai-|hf_)[A-Za-z0-9_-]{16,}"
)
_KEYS = re.compile(_KEY)
_KEYS_IN_BYTES = re.compile(_KEY.encode())

# Half of a surrogate pair: some providers cut an emoji in two, each half in a chunk of its own.
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def clean(text: str) -> str:
    """Without what databases refuse: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def redact(text: str) -> str:
    """Without API keys."""
    return _KEYS.sub("[redacted]", text) if _is_marked(text) else text


def redact_json(data: bytes) -> bytes:
    """JSON without API keys."""
    # in text since bytes are searched three times as slowly, first as if for a number
    marked = _is_marked(data.decode("latin-1"))
    return _KEYS_IN_BYTES.sub(b"[redacted]", data) if marked else data


def _is_marked(text: str) -> bool:
    """Whether there may be a key; written out, since every call asks it some ten times."""
    return "sk-" in text or "AIza" in text or "gsk_" in text or "xai-" in text or "hf_" in text


def fit(text: str) -> str:
    """Without API keys and without what databases refuse."""
    if text.isascii() and "\0" not in text and not _is_marked(text):
        return text  # as nearly all are
    return clean(redact(text))


_fit_again = lru_cache(1024)(fit)
"""The same of a text that is likely to come again and is not long: the name of a model."""


def text_of(value: object) -> str | None:
    """A short text of an answer, fit to be kept; None for anything else."""
    if isinstance(value, str) and value and len(value) <= TEXT_CHARACTERS:
        return _fit_again(value)
    return None


def readings(data: bytes) -> Iterator[bytes]:
    """A JSON text, then the other ways to read it: from UTF-16 or UTF-32, which JSON once allowed
    and clients still take; without what is no Unicode."""
    yield data
    coding = detect_encoding(data)
    if coding not in ("utf-8", "utf-8-sig"):
        with suppress(UnicodeDecodeError):
            yield data.decode(coding).encode()
    yield repaired(data)


def shallowly(read: Callable[[bytes], Any], data: bytes) -> Any:
    """What `read` makes of a JSON text; where that is nested too deep for it, of the text without
    what is nested deeply."""
    try:
        return read(data)
    except RecursionError:
        skim = Skim()
        skim.feed(data)
        return read(skim.result() or b"")


def repaired(data: bytes) -> bytes:
    """JSON with what is no Unicode replaced, so that the rest can be read."""
    return _HALF.sub(rb"\\ufffd", data.decode("utf-8", "replace").encode())
