"""Where calls are not recorded: within a call that is recorded already, and our own traffic."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

unrecorded: ContextVar[bool] = ContextVar("tachograph_unrecorded", default=False)
"""The shells set it around the transport that they wrap, and pass on what comes where it is set."""


@contextmanager
def not_recorded() -> Iterator[None]:
    """Calls made inside are not recorded, by whichever recorder."""
    before = unrecorded.get()
    unrecorded.set(True)
    try:
        yield
    finally:
        unrecorded.set(before)
