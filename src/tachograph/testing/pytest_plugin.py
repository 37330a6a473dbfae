"""The pytest fixture `fake_openrouter`: a running stand-in, a fresh one for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tachograph.testing.server import FakeOpenRouter


@pytest.fixture
def fake_openrouter() -> Iterator[FakeOpenRouter]:
    """A `tachograph.testing.FakeOpenRouter` that is listening, stopped after the test."""
    from tachograph.testing.server import FakeOpenRouter

    with FakeOpenRouter() as server:
        yield server
