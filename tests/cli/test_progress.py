"""A bar is seen where somebody looks and it takes long enough, and leaves nothing behind."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from tachograph.cli import progress as module
from tachograph.cli.progress import progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal on standard error."""
    written = io.StringIO()
    monkeypatch.setattr(module, "stderr", Console(file=written, force_terminal=True, width=80))
    return written


def test_what_takes_long_shows_a_bar(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)
    with progress("calls read") as step:
        step(30, 100)
        step(70, 100)
    assert "calls read" in screen.getvalue()
    assert "100/100" in screen.getvalue()


def test_what_is_done_at_once_shows_none(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    with progress("calls read") as step:
        step(100, 100)
    assert screen.getvalue() == ""


def test_a_pipe_shows_none(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(module, "stderr", Console(file=screen, force_terminal=False))
    with progress("calls read") as step:
        step(1, 100)
    assert screen.getvalue() == ""
