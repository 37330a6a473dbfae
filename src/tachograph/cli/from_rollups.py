"""Reports that `tachograph report --from rollups` makes of sums instead of calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.kinds import Kind, made
from tachograph.cli.output import stderr

if TYPE_CHECKING:
    from datetime import datetime

CALLS, ROLLUPS = "calls", "rollups"
_KINDS = (Kind.MODELS, Kind.PROVIDERS, Kind.BOTH, Kind.DAYS, Kind.HOURS, Kind.NAMES)

From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="`calls`; `rollups`: what `tachograph rollup` keeps in the database; "
        "or the folder that `tachograph rollup --to` wrote.",
    ),
]


def check_kind(kind: Kind | None) -> None:
    """BadParameter when rollups cannot tell this."""
    if (kind or Kind.MODELS) not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise typer.BadParameter(f"rollups tell only of {kinds}", param_hint="--from")


def made_of_rollups(
    kind: Kind,
    origin: str,
    db: str,
    since: datetime | None,
    until: datetime | None,
    where: str | None,
) -> Any:
    """The report as a DataFrame; `origin` is what stood behind `--from`."""
    source = db if origin == ROLLUPS else Path(origin)
    frame = analytics.scan_rollups(
        source, since, until, every="hour" if kind is Kind.HOURS else "day"
    )
    if where is not None:
        condition = analytics.where(where)
        known = ", ".join(analytics.ROLLUPS)
        if not set(condition.meta.root_names()) <= set(analytics.ROLLUPS):
            raise typer.BadParameter(f"rollups have only {known}", param_hint="--where")
        frame = frame.filter(condition)
    stderr.print("from rollups: whole hours; quantiles within 1 %, from histograms")
    found = made(kind, frame, None, "histogram", db).collect()
    if found.is_empty():
        stderr.print("no rollups of this period: `tachograph rollup` makes them")
    return found
