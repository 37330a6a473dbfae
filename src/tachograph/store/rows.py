"""Call -> Usage and Cost -> the tuple that goes into `calls`, in the order of its columns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from tachograph.core.records import Cost, Usage
from tachograph.core.trace_flags import is_foreign
from tachograph.core.units import pico
from tachograph.store.bills import known_jobs
from tachograph.store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from tachograph.core.records import Call
    from tachograph.store.prices import PriceBook

logger = logging.getLogger("tachograph")

_NO_USAGE = Usage()

Row = tuple[Any, ...]


class Spans(Protocol):
    """Makes the span of a call; says whether it was sampled, None without a tracer."""

    def make(self, call: Call, usage: Usage | None, cost: Cost) -> bool | None: ...


class RowMaker:
    """Reads, prices and traces calls, and gives their rows.

    `read_usage` and `spans` are handed down from the rooms that know OpenRouter and OpenTelemetry.
    `give_way` is called after each row, where others may wait for the interpreter.
    """

    def __init__(
        self,
        read_usage: Callable[[Call], Usage | None],
        prices: PriceBook,
        spans: Spans,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._read_usage = read_usage
        self._give_way = give_way
        self._prices = prices
        self._spans = spans

    def rows(self, calls: list[Call]) -> list[Row]:
        """The rows of a batch; their spans are made."""
        self._prices.refresh()
        jobs = known_jobs(self._prices.engine, calls)
        rows = []
        for call in calls:
            job = None if call.job_id is None else jobs[call.job_id]
            if job is not None and call.request_model is None:
                call = replace(call, request_model=job.model)
            rows.append(self._row(call, job is not None and job.repeated_by(call)))
            self._give_way()
        return rows

    def _row(self, call: Call, is_repeated: bool) -> Row:
        usage, cost, sampled = None, Cost(), None
        try:
            usage = None if is_repeated else self._read_usage(call)
            cost = self._prices.cost(call, usage)
            sampled = self._spans.make(call, usage, cost)
        except Exception:
            # what cannot be read, priced or traced is unknown; the call is stored all the same
            logger.exception("tachograph: usage, cost or span of call %s is missing", call.id.hex())
        return call_row(call, usage, cost, sampled)


def call_row(call: Call, usage: Usage | None, cost: Cost, trace_sampled: bool | None) -> Row:
    """The row in the forms that SQLite takes: ids as bytes, money as pico-dollars."""
    u = usage or _NO_USAGE
    return (
        call.id,
        call.operation_id,
        call.attempt,
        call.resend_count,
        call.operation_name,
        call.name,
        call.session_id,
        call.user_id,
        call.tags,
        call.service_name,
        call.environment,
        call.sdk,
        call.api_key_hash,
        call.host,
        call.path,
        call.request_model,
        call.stream,
        call.max_tokens,
        call.temperature,
        call.top_p,
        call.reasoning_effort,
        call.response_format,
        call.tools,
        call.parameters,
        call.request_bytes,
        call.started_us,
        call.latency_seconds,
        call.headers_seconds,
        call.first_token_seconds,
        call.consumer_seconds,
        call.outcome,
        call.http_status,
        call.error_type,
        call.error_code,
        call.error_message,
        call.retry_after_seconds,
        call.chunks,
        call.response_bytes,
        cost.model,
        call.response_model,
        call.provider,
        call.generation_id,
        call.finish_reason,
        call.native_finish_reason,
        call.service_tier,
        call.cache_status,
        call.routing,
        u.input_tokens,
        u.output_tokens,
        u.total_tokens,
        u.cache_read_input_tokens,
        u.cache_write_input_tokens,
        u.cache_write_1h_input_tokens,
        u.reasoning_output_tokens,
        u.audio_input_tokens,
        u.video_input_tokens,
        u.image_output_tokens,
        u.audio_output_tokens,
        u.search_units,
        u.audio_seconds,
        u.web_searches,
        u.usage_extra,
        _pico(u.billed_usd),
        _pico(u.upstream_usd),
        _pico(u.upstream_input_usd),
        _pico(u.upstream_output_usd),
        u.is_byok,
        _pico(cost.spent_usd),
        _pico(cost.computed_usd),
        cost.cost_source,
        cost.price_id,
        call.trace_id,
        call.span_id,
        call.parent_span_id,
        trace_sampled,
        call.resend_of,
        call.job_id,
        None if call.span_id is None else is_foreign(call.trace_flags),
    )


COLUMNS = tuple(column.name for column in calls.columns)
"""The names of the tuple's members."""


def without_bill(row: Row) -> Row:
    """The row of a call whose bill is counted elsewhere."""
    values = list(row)
    for at in _OF_BILL:
        values[at] = None
    values[_SOURCE] = "unknown"
    return tuple(values)


_OF_BILL = tuple(
    at
    for at, name in enumerate(COLUMNS)
    if name.endswith("_picousd") or name == "price_id" or name in Usage.__struct_fields__
)
_SOURCE = COLUMNS.index("cost_source")


def _pico(usd: Decimal | None) -> int | None:
    return None if usd is None else pico(usd)
