"""The names that other people's code imports, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

NAMES = {
    "tachograph": [
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
    ],
    "tachograph.httpx": ["AsyncRecordingTransport", "RecordingTransport"],
    "tachograph.httpx2": ["AsyncRecordingTransport", "RecordingTransport"],
    "tachograph.analytics": [
        "CALLS",
        "by",
        "by_model",
        "by_provider",
        "explain_sql",
        "latest",
        "read_calls",
        "scan_calls",
    ],
    "tachograph.testing": [
        "CLOSE",
        "KINDS",
        "MODELS",
        "RESET",
        "Answer",
        "Chat",
        "Endpoint",
        "FakeOpenRouter",
        "Hold",
        "Model",
        "Pause",
        "Request",
        "failure",
        "sse",
        "usage",
    ],
}


@pytest.mark.parametrize("module", NAMES)
def test_the_names(module: str) -> None:
    found = import_module(module)
    assert sorted(found.__all__) == sorted(NAMES[module])
    for name in NAMES[module]:
        assert getattr(found, name) is not None
        assert name in dir(found)


@pytest.mark.parametrize("module", ["tachograph", "tachograph.testing"])
def test_a_name_that_is_not_there_is_told_as_ever(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nonsense'"):
        import_module(module).nonsense  # noqa: B018


def test_importing_loads_starts_and_changes_nothing() -> None:
    probe = (
        "import logging, signal, sys, threading, warnings\n"
        "def state():\n"
        "    return (threading.active_count(), list(warnings.filters), sys.excepthook,\n"
        "            logging.root.handlers[:], signal.getsignal(signal.SIGTERM))\n"
        "before, modules = state(), set(sys.modules)\n"
        "import tachograph\n"
        "assert state() == before\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"tachograph", *sys.stdlib_module_names}
