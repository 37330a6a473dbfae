"""`tachograph show ID`: all that is known of one call, and the timeline of its operation."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Archive, Db, Format, OutputFormat
from tachograph.cli.output import as_objects, show, write_json
from tachograph.cli.timeline import Call, show_timeline
from tachograph.cli.values import counted, digits, plain
from tachograph.errors import TachographError

PARTS = ("host", "started_at", "model", "input_tokens", "billed_usd", "trace_id")
"""The columns with which another part of a call begins: a line is left free before them."""


def show_id(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Of a call, an operation, a generation or a trace.")
    ],
    db: Db = DEFAULT_DB,
    archive: Archive = None,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Show all that is known of one call, and the operation around it as a timeline."""
    calls = analytics.find_calls(db, id_, archive=archive)
    if not len(calls):
        where = " in SQL; name the archive with --archive, if there is one" if not archive else ""
        raise TachographError(f"no call, operation, generation or trace has the id {id_}{where}")
    operations = analytics.operations(calls)
    if form is Format.JSON:
        write_json({"operations": list(as_objects(operations)), "calls": list(as_objects(calls))})
    elif form is Format.CSV:
        show(calls, form)
    else:
        rows = calls.rows(named=True)
        for operation in operations.rows(named=True):
            _show_operation(operation)
        typer.echo()
        show_timeline(rows)
        typer.echo()
        text = id_.strip()
        digits_of_id = text.lower().replace("-", "")
        asked = (
            call
            for call in rows
            if call["id"].replace("-", "") == digits_of_id or call["generation_id"] == text
        )
        _show_call(next(asked, rows[0]))


def _show_operation(operation: dict[str, Any]) -> None:
    named = [operation["name"], operation["session_id"], operation["user_id"], operation["tags"]]
    typer.echo(f"operation {operation['operation_id']}  {'  '.join(filter(None, named))}")
    said = [
        counted(operation["attempts"], "call"),
        counted(operation["resends"], "re-sending"),
        operation["outcome"],
    ]
    if operation["latency_seconds"] is not None:
        said.append(f"{operation['latency_seconds']:.3f} s in calls")
        said.append(f"{operation['waiting_seconds']:.3f} s between them")
    if operation["spent_usd"] is not None:
        said.append(f"{digits(operation['spent_usd'], 2)} USD")
    if unknown := operation["calls_without_cost"]:
        said.append(f"{counted(unknown, 'cost')} not known")
    typer.echo(", ".join(said))


def _show_call(call: Call) -> None:
    has_break = True
    for name, value in call.items():
        if name in PARTS and not has_break:
            typer.echo()
            has_break = True
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else plain(value)
            typer.echo(f"{name:<28} {shown}")
            has_break = False
