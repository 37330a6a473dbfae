"""Calls that are counted while they are read, for a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tachograph.analytics.lazy_frames import Wanted, lazy_frame
from tachograph.analytics.scanning import scan_of
from tachograph.analytics.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tachograph.analytics.periods import When
    from tachograph.analytics.sources import Source


def watched_calls(
    source: Source,
    since: When | None,
    until: When | None,
    seen: Callable[[int], object],
    *,
    archive: Path | str | None = None,
) -> pl.LazyFrame:
    """What `scan_calls` gives; `seen` is told of every batch how many rows it has.

    It is called on the thread that reads, and again for each time that the frame is collected.
    """
    scan = scan_of(source, since, until, archive)

    def watched(wanted: Wanted) -> Iterator[pl.DataFrame]:
        for frame in scan(wanted):
            seen(len(frame))
            yield frame

    return lazy_frame(watched, CALLS, name="calls")
