"""`tachograph export spans`: the spans of stored calls, for a collector that was down or is new."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from tachograph.analytics.frames import call_batches, count_calls
from tachograph.analytics.lookup import find_calls
from tachograph.cli.options import DEFAULT_DB, Db, Until, when
from tachograph.cli.progress import progress
from tachograph.cli.values import counted
from tachograph.settings import Settings
from tachograph.store.operation_spans import read_operation_spans
from tachograph.telemetry.exporters import otlp_span_exporter
from tachograph.telemetry.stored import StoredCall, StoredSpans, stored_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tachograph.core.records import OperationSpan

_ALL = 2**62


def spans(
    since: Annotated[
        datetime,
        when("--since", "From here on: 7d, 24h, 30m, 2026-11-01 or an ISO instant (UTC)."),
    ],
    until: Until = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="Base URL of the collector, as in OTEL_EXPORTER_OTLP_ENDPOINT, the default.",
        ),
    ] = None,
    include_foreign: Annotated[
        bool,
        typer.Option(
            "--include-foreign",
            help="Also calls for which another instrumentation had a span: if that span was lost.",
        ),
    ] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Send the spans of stored calls and operations over OTLP, with the ids and times they had.

    To send them again does no harm. Left alone are calls whose trace was not sampled, and those
    for which another instrumentation had a span, which has the same id.
    """
    not_sampled = foreign = operations = sent = 0

    def stored_spans() -> Iterator[StoredCall | OperationSpan]:
        nonlocal not_sampled, foreign, operations
        for span in read_operation_spans(db, since, until):
            operations += 1
            yield span
        for batch in call_batches(db, since, until):
            for row in batch.iter_rows(named=True):
                if row["trace_sampled"] is False:
                    not_sampled += 1
                elif row["foreign_span"] and not include_foreign:
                    foreign += 1
                else:
                    yield stored_call(row)

    total = count_calls(db, since, until, at_most=_ALL)

    def find(call_id: bytes) -> StoredCall | None:
        id_ = str(UUID(bytes=call_id))
        rows = find_calls(db, id_).iter_rows(named=True)
        return next((stored_call(row) for row in rows if row["id"] == id_), None)

    sending = StoredSpans(otlp_span_exporter(endpoint), Settings.of().semconv, find=find)
    with progress("Spans") as step, sending as spans:
        for count in spans.send(stored_spans()):
            sent += count
            step(count, total - not_sampled - foreign + operations)
    said = f"{sent - operations:,} of {total:,} calls"
    if operations:
        said += f", {counted(operations, 'operation')}"
    typer.echo(f"spans sent: {said}")
    if not_sampled:
        typer.echo(f"left alone, since their trace was not sampled: {not_sampled:,}")
    if foreign:
        typer.echo(
            "left alone, since another instrumentation had their span "
            f"(--include-foreign sends them): {foreign:,}"
        )
