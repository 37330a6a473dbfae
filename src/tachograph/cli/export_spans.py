"""`tachograph export spans`: the spans of stored calls, for a collector that was down or is new."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tachograph.analytics.frames import call_batches, count_calls
from tachograph.cli.options import DEFAULT_DB, Db, Until, parse_instant
from tachograph.cli.progress import progress
from tachograph.settings import Settings
from tachograph.telemetry.exporters import otlp_span_exporter
from tachograph.telemetry.stored import StoredCall, StoredSpans, stored_call

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = 2**62


def spans(
    since: Annotated[
        datetime,
        typer.Option(
            "--since",
            parser=parse_instant,
            metavar="WHEN",
            help="From here on: 7d, 24h, 30m, 2026-11-01 or an ISO instant (UTC).",
        ),
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
    db: Db = DEFAULT_DB,
) -> None:
    """Send the spans of stored calls over OTLP, with the ids and times that they had.

    To send them again does no harm. Calls whose trace was not sampled are left alone.
    """
    left_alone = sent = 0

    def sampled() -> Iterator[StoredCall]:
        nonlocal left_alone
        for batch in call_batches(db, since, until):
            for row in batch.iter_rows(named=True):
                if row["trace_sampled"] is False:
                    left_alone += 1
                else:
                    yield stored_call(row)

    total = count_calls(db, since, until, at_most=_ALL)
    stored_spans = StoredSpans(otlp_span_exporter(endpoint), Settings.of().semconv)
    with progress("Spans") as step, stored_spans as stored:
        for count in stored.send(sampled()):
            sent += count
            step(count, total - left_alone)
    typer.echo(f"spans sent: {sent:,} of {total:,} calls")
    if left_alone:
        typer.echo(f"left alone, since their trace was not sampled: {left_alone:,}")
