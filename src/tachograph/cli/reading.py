"""The calls that a command reads, with a progress bar while they are read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tachograph import analytics
from tachograph.cli.output import stderr
from tachograph.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def read_with_progress(
    db: str,
    since: datetime | None,
    until: datetime | None,
    count: int | None = None,
    *,
    archive: Path | None = None,
) -> Iterator[Any]:
    """A LazyFrame of the calls of a period; `count` is how many it has, where that is known."""
    if count is None and stderr.is_terminal:
        count = analytics.count_calls(db, since, until, at_most=2**62, archive=archive)
    with progress("calls read") as step:
        yield analytics.watched_calls(
            db, since, until, lambda rows: step(rows, count), archive=archive
        )
