"""The calls of an operation as a timeline: when each was under way, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph.cli.output import Rows, grid, stdout, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence

Call = dict[str, Any]

WAITING, ANSWERING = "\u2500", "\u2501"
"""A call before and after its first token; one that has none is all of the latter."""

_WIDE_SCREEN = 140
_COLOURS = {"completed": "green", "failed": "red"}
_HEADINGS = {
    "attempt": "call",
    "bar": "",
    "after_seconds": "after s",
    "latency_seconds": "took s",
    "first_token_seconds": "first s",
    "http_status": "status",
    "result": "result",
    "model": "model",
    "provider": "provider",
    "input_tokens": "in",
    "output_tokens": "out",
    "spent_usd": "spent USD",
}
_SPARE = (
    "output_tokens",
    "input_tokens",
    "first_token_seconds",
    "after_seconds",
    "http_status",
    "provider",
)


def show_timeline(calls: Sequence[Call]) -> None:
    """Draw the calls to standard output, in the order in which they began."""
    began = min(call["started_at"] for call in calls)
    after = [(call["started_at"] - began).total_seconds() for call in calls]
    end = max(
        start + (call["latency_seconds"] or 0) for start, call in zip(after, calls, strict=True)
    )
    width = 40 if stdout().width >= _WIDE_SCREEN else 14
    rows = []
    for start, call in zip(after, calls, strict=True):
        ended = call["error_type"] or call["outcome"]
        drawn = _bar(start, call["latency_seconds"], call["first_token_seconds"], end, width)
        line = call | {"bar": drawn, "after_seconds": start, "result": ended}
        rows.append(tuple(line[name] for name in _HEADINGS))
    table = grid(Rows(list(_HEADINGS), rows), _HEADINGS)
    for name in ("bar", "result"):
        for cell, call in zip(table.columns[table.names.index(name)], calls, strict=True):
            cell.stylize(_COLOURS.get(call["outcome"], "yellow"))
    write_table(table, spare=_SPARE)


def _bar(
    start: float, seconds: float | None, first_token: float | None, end: float, width: int
) -> str:
    """When a call was under way, from the beginning of the first to the end of the last."""
    if seconds is None or not end:
        return ""

    def place(instant: float) -> int:
        return round(instant / end * (width - 1))

    first, last = place(start), place(start + seconds)
    spoke = first if first_token is None else min(place(start + first_token), last)
    return " " * first + WAITING * (spoke - first) + ANSWERING * (last - spoke + 1)
