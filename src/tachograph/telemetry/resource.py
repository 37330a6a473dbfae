"""The resource of spans: the app, without what differs from one process to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, OTELResourceDetector, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping


def app_resource(said: Mapping[str, str] | None = None) -> Resource:
    """As the SDK makes it, but for the `service.instance.id` that it draws for each process: with
    it, a span that another process sends again would be a second one to Jaeger. One that the
    environment names stays."""
    made = Resource.create(dict(said or {}))
    if SERVICE_INSTANCE_ID in OTELResourceDetector().detect().attributes:
        return made
    kept = {name: value for name, value in made.attributes.items() if name != SERVICE_INSTANCE_ID}
    return Resource(kept, made.schema_url)
