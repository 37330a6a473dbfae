"""The names that other people's code imports, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

TOP = [
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
PROMISED = {
    "tachograph": TOP,
    "tachograph.httpx": ["AsyncRecordingTransport", "RecordingTransport"],
    "tachograph.httpx2": ["AsyncRecordingTransport", "RecordingTransport"],
    "tachograph.analytics": [
        "by_model",
        "by_provider",
        "read_calls",
        "scan_calls",
        "scan_operations",
    ],
    "tachograph.compat.aicore": ["LlmOperationCollector"],
    "tachograph.testing": ["FakeOpenRouter", "generate_calls"],
}


def test_the_top_has_these_names_and_no_more() -> None:
    assert sorted(import_module("tachograph").__all__) == TOP


@pytest.mark.parametrize("module", PROMISED)
def test_what_is_promised_is_there(module: str) -> None:
    found = import_module(module)
    assert set(PROMISED[module]) <= set(found.__all__)
    for name in found.__all__:
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
