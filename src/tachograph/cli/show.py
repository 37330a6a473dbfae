"""`tachograph show ID`: all that is known of one call, and the timeline of its operation."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, as_objects, counted, digits, plain, show, write_json
from tachograph.errors import TachographError

BAR_WIDTH = 24

Call = dict[str, Any]


def show_id(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Of a call, an operation, a generation or a trace.")
    ],
    db: Db = DEFAULT_DB,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Show all that is known of one call, and the operation around it as a timeline."""
    calls = analytics.find_calls(db, id_)
    if not len(calls):
        raise TachographError(f"no call, operation, generation or trace has the id {id_}")
    operations = analytics.operations(calls)
    if form is Format.JSON:
        write_json({"operations": list(as_objects(operations)), "calls": list(as_objects(calls))})
    elif form is Format.CSV:
        show(calls, form)
    else:
        rows = calls.rows(named=True)
        for operation in operations.rows(named=True):
            _show_operation(operation)
        _show_timeline(rows)
        _show_call(next((call for call in rows if call["id"] == id_), rows[0]))


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


def _show_timeline(calls: list[Call]) -> None:
    began = min(call["started_at"] for call in calls)
    spans = [
        ((call["started_at"] - began).total_seconds(), call["latency_seconds"]) for call in calls
    ]
    end = max(start + (seconds or 0) for start, seconds in spans)
    rows = [
        (
            call["attempt"],
            _bar(start, seconds, end),
            start,
            seconds,
            call["http_status"],
            call["error_type"] or call["outcome"],
            call["model"],
            call["provider"],
        )
        for call, (start, seconds) in zip(calls, spans, strict=True)
    ]
    headings = {
        "attempt": "call",
        "bar": "",
        "after_seconds": "after s",
        "latency_seconds": "took s",
        "http_status": "status",
        "result": "result",
        "model": "model",
        "provider": "provider",
    }
    typer.echo()
    show(Rows(list(headings), rows), Format.TABLE, headings=headings)
    typer.echo()


def _bar(start: float, seconds: float | None, end: float) -> str:
    """When a call was under way, from the beginning of the first to the end of the last."""
    if seconds is None or not end:
        return ""
    first = int(start / end * (BAR_WIDTH - 1))
    last = int((start + seconds) / end * (BAR_WIDTH - 1))
    return " " * first + "\u2501" * (last - first + 1)


def _show_call(call: Call) -> None:
    for name, value in call.items():
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else plain(value)
            typer.echo(f"{name:<28} {shown}")
