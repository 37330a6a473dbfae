"""The options of many commands: `--db`, `--since`, `--until`, `--format`, and other instants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tachograph.analytics.periods import instant, period

DEFAULT_DB = "sqlite:///tachograph.db"


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    MARKDOWN = "md"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def parse_instant(text: str) -> datetime:
    """The instant that `2026-11-01`, `2026-11-01T12:00Z`, `7d`, `24h` or `30m` stands for."""
    try:
        return instant(text, now=datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def when(name: str, help_: str, *, check: Callable[..., Any] | None = None) -> Any:
    """An option that takes an instant in each of its forms."""
    return typer.Option(name, parser=parse_instant, metavar="WHEN", help=help_, callback=check)


def _in_order(
    ctx: typer.Context, option: typer.CallbackParam, value: datetime | None
) -> datetime | None:
    """Whichever of the two comes second on the line is checked against the first."""
    bounds = {"since": None, "until": None} | ctx.params | {option.name: value}
    try:
        period(bounds["since"], bounds["until"], now=datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return value


Db = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="TACHOGRAPH_DB",
        metavar="URL",
        help="The database: sqlite:///FILE or postgresql://...",
    ),
]
Since = Annotated[
    datetime | None,
    when(
        "--since",
        "From here on: 7d, 24h, 30m, 2026-11-01 or an ISO instant (UTC).",
        check=_in_order,
    ),
]
Until = Annotated[
    datetime | None,
    when("--until", "Before this instant, in the same forms.", check=_in_order),
]
Archive = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="Read the calls in this folder as well, where `tachograph archive` put them.",
    ),
]
OutputFormat = Annotated[
    Format,
    typer.Option(
        "--format", help="A table or Markdown for people; JSON, CSV or Parquet for programs."
    ),
]
