"""Made-up calls that look like real ones, for trying out, for the tests and for benchmarks."""
