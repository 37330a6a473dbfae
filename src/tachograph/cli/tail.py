"""`tachograph tail`: the last calls, and with --follow those that are stored from now on."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tachograph import analytics
from tachograph.cli.options import DEFAULT_DB, Db, Format, OutputFormat
from tachograph.cli.output import Rows, show
from tachograph.cli.stream import FORMS, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

Call = dict[str, Any]

POLL_SECONDS = 1.0
LOOKED_AT = 2000
"""A call that is stored after so many that began later is not seen by --follow."""

_STORED = (
    "id",
    "started_at",
    "model",
    "provider",
    "outcome",
    "error_type",
    "http_status",
    "latency_seconds",
    "first_token_seconds",
    "input_tokens",
    "output_tokens",
    "spent_usd",
)
_HEADINGS = {
    "started": "started",
    "model": "model",
    "provider": "provider",
    "result": "result",
    "latency_seconds": "s",
    "first_token_seconds": "first",
    "input_tokens": "in",
    "output_tokens": "out",
    "spent_usd": "spent USD",
}
_SPARE = ("first_token_seconds", "output_tokens", "input_tokens", "provider")
"""What a narrow screen can do without."""


def tail(
    db: Db = DEFAULT_DB,
    n: Annotated[int, typer.Option("-n", min=0, help="How many of the last calls.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with the calls to come; Ctrl-C ends it.")
    ] = False,
    form: OutputFormat = Format.TABLE,
) -> None:
    """Show the last calls, the newest at the end.

    With --follow, JSON is one object a line.
    """
    if follow and form not in FORMS:
        raise typer.BadParameter(f"--follow gives {', '.join(FORMS)}", param_hint="--format")
    frame = _for_people if form in (Format.TABLE, Format.MARKDOWN) else _for_programs
    if not follow:
        show(frame(_last(db, n)), form, headings=_HEADINGS, spare=_SPARE)
        return
    stream = Stream(form, _HEADINGS)
    for calls in _as_they_come(db, n):
        stream.write(frame(calls))


def _last(db: str, n: int) -> list[Call]:
    """The last n calls, the newest at the end."""
    return analytics.latest(db, n, _STORED).reverse().rows(named=True)


def _as_they_come(db: str, n: int) -> Iterator[list[Call]]:
    """The last n calls, then again and again those that have been stored since."""
    calls = _last(db, max(n, LOOKED_AT))
    yield calls[max(len(calls) - n, 0) :]
    while True:
        time.sleep(POLL_SECONDS)
        seen = {call["id"] for call in calls}
        oldest = min(seen, default="")
        calls = _last(db, LOOKED_AT)
        # a purge brings older calls into view, which are not new
        new = [call for call in calls if call["id"] not in seen and call["id"] > oldest]
        if new:
            yield new


def _for_programs(calls: list[Call]) -> Rows:
    return Rows(list(_STORED), [tuple(call.values()) for call in calls])


def _for_people(calls: list[Call]) -> Rows:
    """The hour is enough for a call of today, and `ok` for one that completed."""
    today = datetime.now(UTC).date()
    rows = []
    for call in calls:
        started = call["started_at"]
        clock = "%H:%M:%S" if started.date() == today else "%m-%d %H:%M:%S"
        ended = "ok" if call["outcome"] == "completed" else call["error_type"] or call["outcome"]
        shown = call | {"started": started.strftime(clock), "result": ended}
        rows.append(tuple(shown[name] for name in _HEADINGS))
    return Rows(list(_HEADINGS), rows)
