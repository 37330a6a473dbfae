"""The app whose calls they are: as the resource of a tracer provider names it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tachograph.telemetry import semconv


class App(NamedTuple):
    """What a resource says of the app; None where it says nothing."""

    service_name: str | None = None
    environment: str | None = None


def app_of(provider: Any) -> App:
    """The app as the resource of a provider names it."""
    resource = getattr(provider, "resource", None)
    attributes = getattr(resource, "attributes", None) or {}
    said = [attributes.get(name) for name in (semconv.SERVICE_NAME, *_ENVIRONMENTS)]
    service, *environments = (str(value) if value else None for value in said)
    if service is not None and service.startswith(_UNNAMED):
        service = None
    return App(service, next(filter(None, environments), None))


_UNNAMED = "unknown_service"
"""How the SDK names a service of which nobody told it."""
_ENVIRONMENTS = (semconv.ENVIRONMENT, "deployment.environment")
"""Now, and before 2024."""
