"""`tachograph doctor`: what a set-up lacks, and what to do about it, each in a line."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from tachograph.cli.findings import Finding, State, look_at
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show, stdout
from tachograph.cli.values import counted
from tachograph.core.legible import legible

MARKS = {State.OK: ("ok", "green"), State.ADVICE: ("note", "yellow"), State.WRONG: ("WRONG", "red")}


def doctor(db: Db = DEFAULT_DB, form: OutputFormat = Format.TABLE) -> None:
    """Look over the settings, the database, the journals, prices and the collector of spans.

    Changes nothing. The exit status is 1 where something is wrong, and 0 for what is only to be
    known or could be better.
    """
    findings = list(look_at(db))
    if form is Format.TABLE:
        _tell(findings)
    else:
        rows = [
            (finding.about, str(finding.state), finding.says, finding.do) for finding in findings
        ]
        show(Rows(["about", "state", "says", "do"], rows), form)
    if any(finding.state is State.WRONG for finding in findings):
        raise typer.Exit(1)


def _tell(findings: list[Finding]) -> None:
    lines = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        word, colour = MARKS[finding.state]
        says = Text(legible(finding.says))
        if finding.do is not None:
            says.append(f"\n-> {legible(finding.do)}")
        lines.add_row(Text(word, colour), Text(finding.about, "bold"), says)
    console = stdout()
    console.print(lines)
    wrong = sum(finding.state is State.WRONG for finding in findings)
    notes = sum(finding.state is State.ADVICE for finding in findings)
    console.print(f"\n{wrong or 'nothing'} wrong, {counted(notes, 'note')}")
