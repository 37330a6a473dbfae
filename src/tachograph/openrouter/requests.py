"""A request's body -> model, stream, parameters; facts that come again are remembered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from tachograph.openrouter.request_facts import RequestFacts
from tachograph.openrouter.request_fields import TELLING, WHO, read_fields
from tachograph.openrouter.text import readings, shallowly


def read_request(body: bytes) -> RequestFacts | None:
    """The facts of a JSON body; None for any other."""
    if body[:1] not in _BEGINNINGS:
        return None
    fields = _fields(body)
    if fields is None:
        return None
    facts = _known_facts(fields)
    if "user" in fields or "session_id" in fields:
        facts = facts.copy()
        read_fields(facts, ((name, fields[name]) for name in WHO if name in fields))
    return facts


def read_form(fields: Iterable[tuple[str, Any]]) -> RequestFacts:
    """The facts of a form's fields; a file is no text, and says its name only."""
    return _facts(
        (name, msgspec.Raw(value.encode() if _PLAIN.fullmatch(value) else _encode(value)))
        for name, value in fields
        if isinstance(value, str)
    )


def _known_facts(fields: dict[str, msgspec.Raw]) -> RequestFacts:
    """The facts of these fields, but for who asks; not to be changed.

    They are remembered by all that they depend on, since an app's requests are alike in it.
    """
    shape = _shape(fields)
    facts = _known.get(shape)
    if facts is None:
        facts = _facts((name, raw) for name, raw in fields.items() if name not in WHO)
        if sum(map(len, shape)) <= _SHAPE_BYTES and shape:
            if len(_known) >= _MOST:
                _known.clear()
            _known[shape] = facts
    return facts


def _shape(fields: dict[str, msgspec.Raw]) -> tuple[str | bytes, ...]:
    """Names, and values where these are told; empty where one is too long to be remembered."""
    shape: list[str | bytes] = []
    for name, raw in fields.items():
        if name in TELLING:
            if len(raw) > _SHAPE_BYTES:
                return ()
            shape += name, bytes(raw)
        elif name not in WHO:
            shape.append(name)
    return tuple(shape)


def _facts(fields: Iterable[tuple[str, msgspec.Raw]]) -> RequestFacts:
    facts = RequestFacts()
    read_fields(facts, fields)
    return facts


def _fields(body: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    for text in readings(body):
        try:
            return cast("dict[str, msgspec.Raw]", shallowly(_decode, text))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return None


_MOST = 256
"""Shapes that are remembered."""
_SHAPE_BYTES = 16 * 1024
_known: dict[tuple[str | bytes, ...], RequestFacts] = {}

# An object's, a blank before it, and the marks and zeros of other codings than UTF-8.
_BEGINNINGS = tuple(bytes([byte]) for byte in b"{ \n\r\t\xff\xfe\xef\0")

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# What a form's text is in JSON, where it is no text.
_PLAIN = re.compile(r"true|false|null|-?\d{1,18}(\.\d{1,18})?", re.ASCII)
