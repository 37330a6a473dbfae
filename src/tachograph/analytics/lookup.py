"""Calls by an id that somebody has at hand: of a call, an operation, a generation or a trace."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import polars as pl

from tachograph.analytics.frames import read_operation, scan_calls
from tachograph.analytics.schema import CALLS
from tachograph.analytics.sources import Source

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{32}")
"""A trace, or a call or an operation whose dashes were left out."""
_GENERATION = re.compile(r"gen-(?:[a-z]+-)*(\d{9,11})-.+")
_LONGEST_CALL = timedelta(hours=2)


def find_calls(source: Source, id_: str, *, archive: Path | str | None = None) -> pl.DataFrame:
    """The calls that this id names; none where it names nothing.

    The id of a call, a generation or an operation gives all calls of that operation, that of a
    trace all calls of the trace; dashes may be left out. `archive` is looked through as well.
    """
    every = scan_calls(source, archive=archive)
    text = id_.strip().lower()
    if _UUID.fullmatch(text) or _HEX.fullmatch(text):
        call_id = str(UUID(text))
        found = every.filter(pl.col("id") == call_id).collect()
        operation = found["operation_id"].item() if len(found) else call_id
        calls = read_operation(source, operation, archive=archive)
        if len(calls) or _UUID.fullmatch(text):
            return calls
        return every.filter(pl.col("trace_id") == text).sort("id").collect()
    named = pl.col("generation_id") == id_.strip()
    found = CALLS.to_frame()
    if made := _GENERATION.fullmatch(id_.strip()):
        # the id carries the second in which it was made, while its call was under way
        second = datetime.fromtimestamp(int(made[1]), UTC)
        began, ended = second - _LONGEST_CALL, second + _LONGEST_CALL
        found = scan_calls(source, began, ended, archive=archive).filter(named).collect()
    if not len(found):
        found = every.filter(named).collect()
    around = [
        read_operation(source, operation, archive=archive)
        for operation in found["operation_id"].unique()
    ]
    return pl.concat([found.clear(), *around]).sort("id")
