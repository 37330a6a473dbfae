"""`tachograph audit`: what calls should have cost against what was billed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer

from tachograph.analytics.audit import (
    audit_by,
    audit_totals,
    cost_audit,
    differing_and_totals,
    unexplained_share,
)
from tachograph.cli.kinds import AUDIT_COLUMNS
from tachograph.cli.options import DEFAULT_DB, Archive, Db, Format, OutputFormat, Since, Until
from tachograph.cli.output import show, stderr
from tachograph.cli.reading import read_with_progress

CALL_COLUMNS = {
    "id": "call",
    "model": "model",
    "provider": "provider",
    "billed_usd": "billed",
    "generation_usd": "generation",
    "computed_usd": "computed",
    "difference_usd": "difference",
    "reason": "reason",
}


class Key(StrEnum):
    """What an audit is summed by; or every call that differs."""

    REASON = "reason"
    MODEL = "model"
    PROVIDER = "provider"
    CALL = "call"


def _share(text: str) -> Decimal:
    number, percent, rest = text.partition("%")
    try:
        share = Decimal(number) / (100 if percent else 1)
    except InvalidOperation:
        share = Decimal("NaN")
    if rest or not share.is_finite() or share < 0:
        raise typer.BadParameter(f"{text!r} is no share: write 1% or 0.01")
    return share


def audit(
    db: Db = DEFAULT_DB,
    since: Since = None,
    until: Until = None,
    archive: Archive = None,
    by: Annotated[Key, typer.Option("--by", help="One row for each of these.")] = Key.REASON,
    fail_above: Annotated[
        Decimal | None,
        typer.Option(
            "--fail-above",
            parser=_share,
            metavar="SHARE",
            help="Exit with 1 when a larger share of the bill is unexplained (1% or 0.01).",
        ),
    ] = None,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Compare computed with billed costs, call by call, and say why they differ.

    The difference is what was to be paid less what was computed. With a key of your own at a
    provider that is what the provider asked, and not what OpenRouter billed.
    """
    with read_with_progress(db, since, until, archive=archive) as read:
        audited = cost_audit(read, db)
        if by is Key.CALL:
            shown, totals = differing_and_totals(audited)
            headings = CALL_COLUMNS
        else:
            totals = audit_totals(audited).collect()
            shown = audit_by(totals, by.value)
            rest = {name: word for name, word in AUDIT_COLUMNS.items() if name != "reason"}
            headings = {by.value: by.value} | rest
    show(shown, form, headings=headings)
    share = unexplained_share(totals)
    number = totals["calls"].sum()
    stderr.print(f"unexplained: {share:.4%} of the bill of {number:,} calls")
    if fail_above is not None and share > fail_above:
        raise typer.Exit(1)
