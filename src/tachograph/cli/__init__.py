"""The command line: `tachograph`, its entry point, and how its errors look.

Answers go to standard output alone; progress, hints and errors to standard error. An error of
ours is one line and exit status 1, bad usage is exit status 2.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

import tachograph
from tachograph.cli.commands import LazyGroup
from tachograph.errors import TachographError

app = typer.Typer(
    cls=LazyGroup,
    name="tachograph",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXTRAS = {
    "adbc_driver_sqlite": "adbc",
    "altair": "plots",
    "httpx2": "httpx2",
    "openai": "demo",
    "opentelemetry.exporter.otlp": "otlp",
    "psycopg": "postgres",
    "vl_convert": "plots",
}
"""Modules that come with an extra, and which."""


def main() -> None:
    """Run the command line; the exit status is 0, 1 for an error, 2 for bad usage."""
    try:
        app()
    except TachographError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror}: {error.filename}" if error.filename else str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = f"pip install 'tachograph[{EXTRAS[error.name]}]'"
        _fail(f"{error.name} is not installed, which this needs: {extra}")
    except Exception as error:  # a bug: one line for people, the whole story when asked for
        if "--traceback" in sys.argv:
            raise
        _fail(f"unexpected {type(error).__name__}: {error} (--traceback shows where)")


def _fail(message: str) -> NoReturn:
    print(f"tachograph: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tachograph {tachograph.__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an unexpected error came from.")
    ] = False,
) -> None:
    """Record every OpenRouter call's latency, tokens and cost, and ask what they were."""
    named = any(name.startswith("TACHOGRAPH_") and name != "TACHOGRAPH_DB" for name in os.environ)
    if named and context.invoked_subcommand != "doctor":  # which says so itself, and goes on
        from tachograph.settings import refuse_unknown  # a misspelt one would go unseen

        refuse_unknown()
