"""Other recorders' interfaces and data."""
