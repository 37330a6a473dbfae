"""Every stored call as a polars frame, and reports on them; the only room with polars.

The public names are loaded when first used, so that a command that needs none of them is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tachograph.analytics.frames import count_calls, explain_sql, latest, read_calls, scan_calls
    from tachograph.analytics.reports import by, by_model, by_provider
    from tachograph.analytics.schema import CALLS
    from tachograph.analytics.summary import REPORT_COLUMNS, Quantiles, total

_HOME = {
    "CALLS": "schema",
    "Quantiles": "summary",
    "REPORT_COLUMNS": "summary",
    "by": "reports",
    "by_model": "reports",
    "by_provider": "reports",
    "count_calls": "frames",
    "explain_sql": "frames",
    "latest": "frames",
    "read_calls": "frames",
    "scan_calls": "frames",
    "total": "summary",
}

__all__ = [
    "CALLS",
    "REPORT_COLUMNS",
    "Quantiles",
    "by",
    "by_model",
    "by_provider",
    "count_calls",
    "explain_sql",
    "latest",
    "read_calls",
    "scan_calls",
    "total",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
