"""tachograph: an observability-first operation recorder for OpenRouter.

The public names are loaded when first used; importing this package loads nothing heavy, makes no
connection, starts no thread and changes nothing outside itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tachograph.client_recording import instrument, uninstrument
    from tachograph.errors import (
        JournalError,
        SchemaOutOfDateError,
        SettingsError,
        StoreError,
        TachographError,
    )
    from tachograph.process_recording import instrument_all, uninstrument_all
    from tachograph.recorder import Recorder
    from tachograph.status import Status
    from tachograph.telemetry.setup import configure_otel

__version__ = "0.1.0"

_HOME = {
    "JournalError": "tachograph.errors",
    "Recorder": "tachograph.recorder",
    "SchemaOutOfDateError": "tachograph.errors",
    "SettingsError": "tachograph.errors",
    "Status": "tachograph.status",
    "StoreError": "tachograph.errors",
    "TachographError": "tachograph.errors",
    "configure_otel": "tachograph.telemetry.setup",
    "instrument": "tachograph.client_recording",
    "instrument_all": "tachograph.process_recording",
    "uninstrument": "tachograph.client_recording",
    "uninstrument_all": "tachograph.process_recording",
}

__all__ = [
    "JournalError",
    "Recorder",
    "SchemaOutOfDateError",
    "SettingsError",
    "Status",
    "StoreError",
    "TachographError",
    "__version__",
    "configure_otel",
    "instrument",
    "instrument_all",
    "uninstrument",
    "uninstrument_all",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
