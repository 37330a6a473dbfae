"""Fixtures of several rooms: `postgres_url`. No property is judged by how long it took."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres", "tests.crash.places"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
