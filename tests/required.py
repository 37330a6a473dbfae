"""A real part that this machine lacks: a skip with its reason, a failure where all are required."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it when TACHOGRAPH_REQUIRE_ALL=1."""
    if os.environ.get("TACHOGRAPH_REQUIRE_ALL") == "1":
        pytest.fail(f"required, and {reason}")
    pytest.skip(reason)
