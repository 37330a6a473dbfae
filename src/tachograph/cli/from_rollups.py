"""Reports that `tachograph report` makes of rollups instead of calls: when it can, and how."""

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
ENOUGH = 0.9
"""What is not in rollups is read twice, for sums and for quantiles, and in a slower way."""

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="`calls`; `rollups`: what `tachograph rollup` left in the database; "
        "or the folder that `tachograph rollup --to` wrote. Not said: calls, or, where rollups "
        "stand for a million of them, rollups and the calls since.",
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
    from tachograph.analytics.rollups.schema import KEYS

    known = {"started_at", *KEYS}
    if not _named(where) <= known:
        told = ", ".join(sorted(known))
        raise typer.BadParameter(f"rollups tell calls apart by {told}", param_hint="--where")
    hours = kind is Kind.HOURS or "started_at" in _named(where)
    source = db if origin == ROLLUPS else Path(origin)
    frame = analytics.scan_rollups(source, since, until, every="hour" if hours else "day")
    stderr.print("from rollups: whole hours; quantiles within 1 %, from histograms")
    found = made(kind, _only(frame, where), None, "histogram", db).collect()
    if found.is_empty():
        stderr.print("no rollups of this period: `tachograph rollup` makes them")
    return found


def current_rollups(
    kind: Kind | None,
    db: str,
    since: datetime | None,
    until: datetime | None,
    where: str | None,
    at_least: int,
) -> Any:
    """A LazyFrame that says of these calls, as they are now, what a report of this kind needs;
    None where rollups cannot, know of fewer calls than so many, or too little of the period."""
    from tachograph.analytics.rollups.schema import KEYS

    if kind not in _KINDS or not _named(where) <= {*KEYS}:
        return None
    known = analytics.rollup_coverage(db, since, until)
    if known.calls < at_least or known.share < ENOUGH:
        return None
    stderr.print(
        f"rollups of {known.calls:,} calls and all others: exact sums, quantiles within 1 %"
    )
    rollups = analytics.scan_rollups(
        db, since, until, every="hour" if kind is Kind.HOURS else "day", current=True
    )
    return _only(rollups, where)


def _named(where: str | None) -> set[str]:
    """The columns that a condition looks at."""
    return set() if where is None else set(analytics.where(where).meta.root_names())


def _only(rollups: Any, where: str | None) -> Any:
    """What a condition on calls leaves of rollups that can tell it."""
    if where is None:
        return rollups
    named = _named(where)  # some conditions are known of text and not of categories
    return rollups.cast({name: analytics.CALLS[name] for name in named}).filter(
        analytics.where(where)
    )
