"""The only room with polars: frames of every call, and reports on them."""
