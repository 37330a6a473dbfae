"""`tachograph report`: latency, tokens and cost of calls, as a table, a plot or a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.from_rollups import (
    CALLS,
    From,
    check_kind,
    current_rollups,
    made_of_rollups,
)
from tachograph.cli.into import To, form_of, into
from tachograph.cli.kinds import (
    HEADINGS,
    SPARE,
    SUMMED,
    UNKNOWN_COSTS,
    Kind,
    made,
    plot,
    reread,
    summary_headings,
)
from tachograph.cli.options import DEFAULT_DB, Archive, Db, Format, OutputFormat, Since, Until
from tachograph.cli.output import show, stderr
from tachograph.cli.reading import read_with_progress
from tachograph.cli.values import counted

MANY = 1_000_000
"""From so many calls on, quantiles are read from histograms."""
_MANY_GROUPS = (Kind.SESSIONS, Kind.USERS, Kind.TAGS)
"""A histogram for each of very many groups takes longer than their values, and no less memory."""
MOST_LINES = 100
"""A table for people has no more, unless they ask for it."""


def report(
    kind: Annotated[
        Kind | None, typer.Argument(help="What to group by, or to look at.", show_default="models")
    ] = None,
    db: Db = DEFAULT_DB,
    since: Since = None,
    until: Until = None,
    archive: Archive = None,
    origin: From = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="TAG", help="The tag that `tags` groups by.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="SQL", help="Only calls like this: \"provider = 'Azure'\"."
        ),
    ] = None,
    tagged: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG=VALUE", help="Only calls with this tag; all of them if several."
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Only the first lines.")] = None,
    form: OutputFormat = Format.TABLE,
    to: To = None,
    plot_to: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw it too, in FILE.png, FILE.svg or FILE.html."
        ),
    ] = None,
    page_to: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Instead write one page with all that matters, to send."
        ),
    ] = None,
) -> None:
    """Report latency, failures, tokens and money of the calls of a period, the dearest first.

    Times are of completed calls that no cache answered. A sum of money is of what is known; how
    many calls had no known cost stands beside it. Plots and the page need the extra
    `tachograph[plots]` and no network.
    """
    _check(kind, by, where, plot_to)
    tags = [_tag(text) for text in tagged or ()]
    form = form_of(to, form)
    if page_to is not None and (kind or top or to or plot_to or form is not Format.TABLE):
        raise typer.BadParameter(
            "only a period, --where and --tag go with a page", param_hint="--html"
        )
    if origin not in (None, CALLS):
        if archive or plot_to or page_to or tags:
            raise typer.BadParameter("makes a table, of no archive or tag", param_hint="--from")
        check_kind(kind)
        found = made_of_rollups(kind or Kind.MODELS, origin, db, since, until, where)
        with into(to):
            show_report(found, form, top=top, kind=kind or Kind.MODELS)
        return
    wanted = None if page_to is not None else kind or Kind.MODELS
    with _calls(wanted, db, since, until, where, tags, archive, origin) as (calls, quantiles):
        if page_to is not None:
            from tachograph.cli.page import write_page

            said = [*([] if where is None else [where]), *(tagged or [])]
            write_page(page_to, calls, db, " and ".join(said) or None)
            return
        kind = kind or Kind.MODELS
        if plot_to is None:
            found = made(kind, calls, by, quantiles, db).collect()
        else:
            with reread(kind, calls) as calls:
                found = made(kind, calls, by, quantiles, db).collect()
                drawn = plot(kind, found.head(top or len(found)), calls, quantiles)
            analytics.save_plot(drawn, plot_to)
    with into(to):
        show_report(found, form, top=top, kind=kind)


@contextmanager
def _calls(
    kind: Kind | None,
    db: str,
    since: datetime | None,
    until: datetime | None,
    where: str | None,
    tags: list[tuple[str, str]],
    archive: Path | None,
    origin: str | None,
) -> Iterator[tuple[Any, analytics.Quantiles]]:
    """What a report (or the page) is made of, calls or rollups of them, and how its quantiles."""
    if origin is None and archive is None and not tags:
        rollups = current_rollups(kind, db, since, until, where, MANY)
        if rollups is not None:
            yield rollups, "histogram"
            return
    count = analytics.count_calls(db, since, until, at_most=MANY, archive=archive)
    quantiles = _quantiles(count, kind)
    known = count if count < MANY else None
    with read_with_progress(db, since, until, known, archive=archive) as read:
        conditions = [analytics.tag(key) == value for key, value in tags]
        if where is not None:
            conditions.append(analytics.where(where))
        yield read.filter(*conditions), quantiles


def show_report(
    report: Any,
    form: Format = Format.TABLE,
    *,
    title: str | None = None,
    top: int | None = None,
    kind: Kind = Kind.MODELS,
) -> None:
    """Write a report (a DataFrame of `analytics.by_model` and its like) to standard output."""
    for_people = form in (Format.TABLE, Format.MARKDOWN)
    most = MOST_LINES if top is None and for_people else top
    shown = report if most is None else report.head(most)
    total = analytics.total(report) if kind in SUMMED else {}
    show(
        shown,
        form,
        headings=HEADINGS.get(kind) or summary_headings(report),
        title=title,
        total=total,
        more=UNKNOWN_COSTS,
        spare=SPARE,
    )
    if for_people and (unknown := total.get("calls_without_cost")):
        blank = "\n" if form is Format.MARKDOWN else ""
        sys.stdout.write(f"{blank}+ and {counted(unknown, 'call')} whose cost is not known\n")
    if for_people and len(shown) < len(report):
        hidden = counted(len(report) - len(shown), "line")
        sums = "" if not total or len(shown) == 1 else ", which the sums are of"
        stderr.print(f"{hidden} more: --top {len(report)} shows all{sums}")


def _check(kind: Kind | None, by: str | None, where: str | None, plot_to: Path | None) -> None:
    """What was asked for can be done; told before anything is read."""
    if (kind is Kind.TAGS) != (by is not None):
        raise typer.BadParameter("`report tags` and `--by TAG` go together", param_hint="--by")
    if where is not None:
        try:
            analytics.where(where)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--where") from None
    if plot_to is not None and plot_to.suffix not in analytics.PICTURES:
        ends = ", ".join(analytics.PICTURES)
        raise typer.BadParameter(f"{plot_to.name} ends with none of {ends}", param_hint="--plot")


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write TAG=VALUE", param_hint="--tag")
    try:
        analytics.tag(key)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--tag") from None
    return key, value


def _quantiles(count: int, kind: Kind | None) -> analytics.Quantiles:
    if count == 0:
        stderr.print("no calls in this period")
    if count < MANY or kind is None or kind in _MANY_GROUPS:  # None: the page
        return "exact"
    stderr.print(f"{MANY:,} calls or more: quantiles within 1 %, from histograms")
    return "histogram"
