"""Fixtures of several rooms: `postgres_url`."""

from __future__ import annotations

pytest_plugins = ["tests.postgres", "tests.crash.places"]
