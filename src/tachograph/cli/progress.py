"""A progress bar on standard error, where somebody can see it and it takes long enough."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tachograph.cli.output import stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 0.4
"""What is done sooner shows no bar: it would only flash."""


@contextmanager
def progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error; what it gives is told of each step: how many, and of how many."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )
    task = bar.add_task(what, total=None)
    began = time.monotonic()

    def step(done: int, total: int | None = None) -> None:
        bar.update(task, advance=done, total=total)
        if time.monotonic() - began > PATIENCE_SECONDS:
            bar.start()

    try:
        yield step
    finally:
        bar.stop()
