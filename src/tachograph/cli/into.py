"""`--to FILE`: an answer into a file, in the form that the file's name ends with."""

from __future__ import annotations

from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tachograph.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMS = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".md": Format.MARKDOWN,
    ".parquet": Format.PARQUET,
}

To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="FILE", help="Write it to FILE.csv, FILE.json, FILE.md or FILE.parquet."
    ),
]


def form_of(to: Path | None, form: Format) -> Format:
    """The form in which to write; BadParameter when the file's name tells none, or another."""
    if to is None:
        return form
    named = FORMS.get(to.suffix)
    if named is None or form not in (named, Format.TABLE):
        wanted = ", ".join(FORMS) if named is None else f".{form}"
        raise typer.BadParameter(f"{to.name} does not end with {wanted}", param_hint="--to")
    return named


@contextmanager
def into(to: Path | None) -> Iterator[None]:
    """What is shown within goes to this file, which appears when it is whole, or to the screen."""
    if to is None:
        yield
        return
    part = to.with_name(f".{to.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file, redirect_stdout(file):
            yield
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
