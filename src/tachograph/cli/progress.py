"""A progress bar on standard error, where somebody can see it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tachograph.cli.output import stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(what: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error; what it gives is told of each step: how many, and of how many."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int | None = None) -> None:
            bar.update(task, advance=done, total=total)

        yield step
