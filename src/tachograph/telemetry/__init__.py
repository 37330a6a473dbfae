"""The only room with opentelemetry."""
