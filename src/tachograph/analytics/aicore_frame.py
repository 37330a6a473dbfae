"""Calls in the columns of AiCore, for notebooks that were written for its frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from tachograph.analytics.contents import CONTENTS, scan_content
from tachograph.analytics.frames import scan_calls
from tachograph.analytics.periods import When, instant
from tachograph.analytics.reports import tag
from tachograph.openrouter.prompts import Prompts, read_prompts

if TYPE_CHECKING:
    from tachograph.analytics.sources import Source

AICORE = pl.Schema(
    {
        "session_id": pl.String(),
        "workspace": pl.String(),
        "agent_id": pl.String(),
        "action_id": pl.String(),
        "operation_id": pl.String(),
        "timestamp": pl.String(),
        "system_prompt": pl.String(),
        "user_prompt": pl.String(),
        "response": pl.String(),
        "assistant_message": pl.String(),
        "history_messages": pl.String(),
        "completion_args": pl.String(),
        "error_message": pl.String(),
        "operation_type": pl.String(),
        "provider": pl.String(),
        "model": pl.String(),
        "success": pl.Boolean(),
        "temperature": pl.Float64(),
        "max_tokens": pl.Int64(),
        "input_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "cached_tokens": pl.Int64(),
        "total_tokens": pl.Int64(),
        "cost": pl.Float64(),
        "latency_ms": pl.Float64(),
        "extras": pl.String(),
    }
)
"""AiCore's columns, in its order."""

PROVIDER = "openrouter"
"""What AiCore calls the provider of every call that is recorded here."""

_TAGS = {
    "workspace": ("workspace",),
    "agent_id": ("agent", "agent_id"),
    "action_id": ("action", "action_id"),
}
_NO_EXTRAS = frozenset(name for names in _TAGS.values() for name in names)
_COMPLETIONS = ("chat", "text_completion")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which operations: those of which all this holds. None and "" ask for nothing."""

    agent_id: str | None = None
    action_id: str | None = None
    session_id: str | None = None
    workspace: str | None = None
    start_date: When | None = None
    end_date: When | None = None
    provider: str | None = None
    operation_type: str | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    min_latency: float | None = None
    max_latency: float | None = None


def read_aicore_frame(source: Source, wanted: Wanted) -> pl.DataFrame:
    """The operations in the columns of AICORE, the newest first."""
    calls = (
        scan_calls(source, wanted.start_date or None)
        .filter(_conditions(wanted))
        .select("id", "started_at", "tags", *_columns())
        .filter(_conditions_on_columns(wanted))
        .collect()
    )
    extras = [_extras(tags) for tags in calls["tags"]]
    return (
        calls.with_columns(pl.Series("extras", extras, dtype=pl.String()))
        .join(_prompts(_contents(source, calls)), left_on="id", right_on="call_id", how="left")
        .sort("id", descending=True)
        .select(AICORE.names())
    )


def _conditions(wanted: Wanted) -> pl.Expr:
    """What the columns of calls tell, which is for SQL to look at."""
    conditions = [pl.col("operation_name").is_not_null()]  # a price list is no operation
    if wanted.provider not in (None, "", PROVIDER):
        conditions.append(pl.lit(value=False))
    if wanted.session_id:
        conditions.append(pl.col("session_id") == wanted.session_id)
    if wanted.end_date:
        conditions.append(pl.col("started_at") <= instant(wanted.end_date, now=datetime.now(UTC)))
    if wanted.min_latency is not None:
        conditions.append(pl.col("latency_seconds") >= wanted.min_latency / 1000)
    if wanted.max_latency is not None:
        conditions.append(pl.col("latency_seconds") <= wanted.max_latency / 1000)
    return pl.all_horizontal(conditions)


def _conditions_on_columns(wanted: Wanted) -> pl.Expr:
    """What only AiCore's columns tell."""
    tags = {name: value for name in _TAGS if (value := getattr(wanted, name))}
    conditions = [pl.lit(value=True), *(pl.col(name) == value for name, value in tags.items())]
    if wanted.operation_type:
        kinds = (_either(pl.col("operation_type")), _either(pl.lit(wanted.operation_type)))
        conditions.append(kinds[0] == kinds[1])
    if wanted.min_tokens is not None:
        conditions.append(pl.col("total_tokens") >= wanted.min_tokens)
    if wanted.max_tokens is not None:
        conditions.append(pl.col("total_tokens") <= wanted.max_tokens)
    return pl.all_horizontal(conditions)


def _either(operation_type: pl.Expr) -> pl.Expr:
    """Without telling sync from async, which is not recorded."""
    return operation_type.str.replace(r"^acompletion", "completion")


def _columns() -> list[pl.Expr]:
    def of_aicore(name: str) -> pl.Expr:
        """What AiCore itself said of a call that was imported."""
        return pl.col("usage_extra").str.json_path_match(f"$.aicore.{name}")

    kind = (
        pl.when(~pl.col("operation_name").is_in(_COMPLETIONS))
        .then("operation_name")
        .when(pl.col("finish_reason") == "tool_calls")
        .then(pl.lit("acompletion.tool_call"))
        .otherwise(pl.lit("completion"))
    )
    columns = {name: pl.coalesce(tag(key) for key in keys) for name, keys in _TAGS.items()} | {
        "operation_id": pl.coalesce(of_aicore("operation_id"), "id"),
        "timestamp": pl.col("started_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
        "operation_type": pl.coalesce(of_aicore("operation_type"), kind),
        "provider": pl.lit(PROVIDER),
        "model": pl.coalesce("model", "request_model"),
        "success": pl.col("outcome") == "completed",
        "cached_tokens": pl.col("cache_read_input_tokens"),
        "total_tokens": pl.coalesce(
            "total_tokens", pl.col("input_tokens") + pl.col("output_tokens")
        ),
        "cost": pl.col("spent_usd").cast(pl.Float64),
        # a float times 1000 has a tail: 0.57 would be 569.9999999999999
        "latency_ms": (pl.col("latency_seconds") * 1000).round(6),
    }
    same = ("session_id", "error_message", "temperature", "max_tokens")
    tokens = ("input_tokens", "output_tokens")
    return [*map(pl.col, (*same, *tokens)), *(of.alias(name) for name, of in columns.items())]


def _contents(source: Source, calls: pl.DataFrame) -> pl.DataFrame:
    """What was kept of these calls, one row each."""
    if calls.is_empty():
        return CONTENTS.to_frame()
    first, last = calls.select(
        first=pl.col("started_at").min(), last=pl.col("started_at").max()
    ).row(0)
    contents = scan_content(source, first, last + timedelta(microseconds=1))
    mine = calls.lazy().select("id")
    return contents.join(mine, how="semi", left_on="call_id", right_on="id").collect()


def _prompts(contents: pl.DataFrame) -> pl.DataFrame:
    """The texts of these contents, one row a call."""
    texts = [
        (call_id, request, *read_prompts(request, answer))
        for call_id, request, answer in contents.select("call_id", "request", "answer").iter_rows()
    ]
    names = ("call_id", "completion_args", *Prompts._fields)
    return pl.DataFrame(texts, schema=dict.fromkeys(names, pl.String()), orient="row")


def _extras(tags: str | None) -> str:
    """The tags that have no column, as the JSON object that AiCore has for such things."""
    told: dict[str, Any] = {} if tags is None else msgspec.json.decode(tags)
    rest = {name: value for name, value in told.items() if name not in _NO_EXTRAS}
    return msgspec.json.encode(rest).decode()
