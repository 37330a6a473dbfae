"""Every stored call as a polars frame, and reports on them; the only room with polars.

The public names are loaded when first used, so that a command that needs none of them is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tachograph.analytics.frames import explain_sql, latest, read_calls, scan_calls
    from tachograph.analytics.reports import by, by_model, by_provider
    from tachograph.analytics.schema import CALLS

_HOME = {
    "CALLS": "schema",
    "by": "reports",
    "by_model": "reports",
    "by_provider": "reports",
    "explain_sql": "frames",
    "latest": "frames",
    "read_calls": "frames",
    "scan_calls": "frames",
}

__all__ = [
    "CALLS",
    "by",
    "by_model",
    "by_provider",
    "explain_sql",
    "latest",
    "read_calls",
    "scan_calls",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
