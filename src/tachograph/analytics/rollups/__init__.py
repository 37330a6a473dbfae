"""Sums and histograms of calls by hour and day: made, kept, and read as a polars frame."""
