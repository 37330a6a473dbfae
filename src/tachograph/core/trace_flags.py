"""The bits of `Call.trace_flags`: W3C's eight, above them what else is told of a span."""

from __future__ import annotations

from typing import Final

# as in OTLP's `Span.flags`: samplers treat a parent of another process differently
HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200

FOREIGN: Final = 0x10000
"""The ids of the call are those of another instrumentation's span. OTLP has nothing there."""


def is_foreign(trace_flags: int | None) -> bool:
    """Whether a call's ids are those of another instrumentation's span, which stands for it."""
    return trace_flags is not None and bool(trace_flags & FOREIGN)
