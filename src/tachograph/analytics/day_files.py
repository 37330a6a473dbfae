"""The files of an archive: where they are, how one is read, and how one comes to be.

A day has one file, `day=2026-11-01/calls.parquet`, with the columns of CALLS but those that are
computed; words are text. Files are replaced, never changed: who has one open reads it to its end.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import IO, TYPE_CHECKING

import polars as pl

from tachograph.analytics.schema import CALLS, COMPUTED_FROM, tokens_per_second
from tachograph.errors import StoreError
from tachograph.store.segment import lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ONE_DAY = timedelta(days=1)

NAME = "calls.parquet"
ROW_GROUP_ROWS = 100_000
COMPRESSION_LEVEL = 1
"""Most of a row is ids and times that nothing compresses: higher levels take time and save none."""

WORDS = [name for name, kind in CALLS.items() if isinstance(kind, pl.Enum)]
STORED = [name for name in CALLS if name not in COMPUTED_FROM]
FILE = pl.Schema({name: pl.String() if name in WORDS else CALLS[name] for name in STORED})
"""The columns of a file. One that was written by an older version may have fewer."""


def midnight(day: date) -> datetime:
    """The instant at which a day begins, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def path_of(archive: Path, day: date) -> Path:
    return archive / f"day={day}" / NAME


def size_of(archive: Path, day: date) -> int:
    """The bytes of a day's file; 0 when it has none."""
    try:
        return path_of(archive, day).stat().st_size
    except FileNotFoundError:
        return 0


def days_in(archive: Path) -> list[date]:
    """The days that have a file, in order; StoreError when there is no such folder."""
    try:
        names = [found.name for found in archive.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"there is no archive at {archive}") from None
    days = [day for name in names if (day := _day(name)) and path_of(archive, day).exists()]
    return sorted(days)


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix("day=")) if name.startswith("day=") else None
    except ValueError:
        return None


@contextmanager
def opened(archive: Path, days: Sequence[date]) -> Iterator[list[IO[bytes]]]:
    """The files of these days, as they are now; a day that was deleted has none."""
    files: list[IO[bytes]] = []
    try:
        for day in days:
            try:
                files.append(path_of(archive, day).open("rb"))
            except FileNotFoundError:
                continue
        yield files
    finally:
        for file in files:
            file.close()


def scan_files(files: Sequence[IO[bytes]]) -> pl.LazyFrame:
    """The rows of open files as calls; columns that a file lacks are null.

    ComputeError when a file has a word that this version does not know.
    """
    scanned = pl.scan_parquet(
        list(files), schema=FILE, missing_columns="insert", extra_columns="ignore"
    )
    words = [pl.col(name).cast(CALLS[name]) for name in WORDS]
    return scanned.with_columns(words).with_columns(tokens_per_second()).select(*CALLS)


def refuse_newer(files: Sequence[IO[bytes]]) -> None:
    """StoreError when a file has columns that this version would lose in writing it again."""
    for file in files:
        unknown = set(pl.scan_parquet(file).collect_schema()) - set(FILE)
        if unknown:
            raise StoreError(
                f"{file.name} has columns that this version does not know ({', '.join(unknown)}): "
                "upgrade tachograph"
            )


def as_filed(calls: pl.DataFrame) -> pl.DataFrame:
    """Calls with the columns and types of a file."""
    return calls.select(*STORED).cast(dict.fromkeys(WORDS, pl.String()))


@contextmanager
def locked(archive: Path) -> Iterator[None]:
    """The archive, made if need be, for this process alone; the kernel frees it when it dies.

    StoreError when another process has it.
    """
    archive.mkdir(parents=True, exist_ok=True)
    fd = os.open(archive / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock(fd)
    except BlockingIOError:
        raise StoreError(f"somebody else is writing to the archive {archive}") from None
    else:
        yield
    finally:
        os.close(fd)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what shall stand at this path: it gets there whole and for good, or not."""
    part = path.with_name(f".{path.name}.part")
    if not path.parent.exists():
        path.parent.mkdir()
        _sync(path.parent.parent)
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
