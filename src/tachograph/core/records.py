"""The records that everything else is about: Call, Usage, Cost and Price.

`Call` is what the caller's thread saw of one HTTP exchange, and what the journal holds. It is
kept small and cheap to make: the usage object stays as sent, and reading and pricing it is the
writer's work (`Usage`, `Cost`). All are frozen. None always means *not known or not applicable*;
zero means that somebody said zero.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Outcome = Literal["completed", "failed", "abandoned", "refused"]
CostSource = Literal["billed", "reconciled", "computed", "unknown"]

OUTCOMES: tuple[Outcome, ...] = ("completed", "failed", "abandoned", "refused")
COST_SOURCES: tuple[CostSource, ...] = ("billed", "reconciled", "computed", "unknown")


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What may be kept of a call's prompt and answer, where the app asked for it."""

    request: str | None
    """JSON, with media masked and keys taken out."""
    answer: str | None
    """JSON; the answer of a stream is put together from its events."""
    redacted: str | None
    """JSON object: what was left out, and how often; None: nothing."""


class Call(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One HTTP exchange with OpenRouter, as the caller's thread saw it.

    The order of the fields is the journal's format: new ones go to the end, with a default.
    """

    # identity
    id: bytes
    """UUIDv7, 16 bytes, minted from the same clock reading as `started_us`."""
    operation_id: bytes
    attempt: int
    resend_count: int
    operation_name: str | None
    name: str | None
    session_id: str | None
    user_id: str | None
    tags: str | None
    """A JSON object."""
    service_name: str | None
    environment: str | None
    sdk: str | None
    api_key_hash: str | None
    # request
    host: str
    path: str
    request_model: str | None
    stream: bool | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    reasoning_effort: str | None
    response_format: str | None
    tools: int | None
    parameters: str | None
    """A JSON object."""
    request_bytes: int | None
    # course and end
    started_us: int
    """Microseconds since 1970 UTC."""
    latency_seconds: float | None
    headers_seconds: float | None
    first_token_seconds: float | None
    consumer_seconds: float | None
    outcome: Outcome
    http_status: int | None
    error_type: str | None
    error_code: str | None
    error_message: str | None
    retry_after_seconds: float | None
    chunks: int | None
    response_bytes: int | None
    # answer
    response_model: str | None
    provider: str | None
    generation_id: str | None
    finish_reason: str | None
    native_finish_reason: str | None
    service_tier: str | None
    cache_status: str | None
    routing: str | None
    """`openrouter_metadata`, JSON as sent."""
    usage: bytes | None
    """The usage object, JSON as sent; `Usage` is read from it."""
    # trace
    trace_id: bytes | None
    span_id: bytes | None
    parent_span_id: bytes | None
    trace_flags: int | None
    """Of the parent; None where the call began a trace of its own."""
    tracestate: str | None
    resend_of_span: bytes | None = None
    """Trace id and span id of the sending that this one repeats."""
    content: Content | None = None
    """Stored in a table of its own; None unless it was asked for."""
    resend_of: bytes | None = None
    """The id of the call that this one sends again; None for a first sending."""
    job_id: str | None = None
    """The job of /videos or /batches that this one began or asked for."""


class OperationSpan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The span of one `recorder.operation` that has ended: all that it takes to send it again."""

    id: bytes
    """UUIDv7 of `started_us`."""
    operation_id: bytes | None
    """The operation of the calls made inside; None where there were none."""
    name: str | None
    session_id: str | None
    tags: str | None
    """A JSON object."""
    service_name: str | None
    environment: str | None
    started_us: int
    ended_us: int
    error_type: str | None
    """The class of the exception that left it."""
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes | None


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an answer said of tokens and money, in one normal form for every endpoint.

    `input_tokens` includes cached ones, `output_tokens` includes reasoning; the sub-counts are
    parts of them. Money is USD.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_1h_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    video_input_tokens: int | None = None
    image_output_tokens: int | None = None
    audio_output_tokens: int | None = None
    search_units: int | None = None
    audio_seconds: float | None = None
    web_searches: int | None = None
    usage_extra: str | None = None
    """JSON object of the members that no field holds."""
    billed_usd: Decimal | None = None
    upstream_usd: Decimal | None = None
    upstream_input_usd: Decimal | None = None
    upstream_output_usd: Decimal | None = None
    is_byok: bool | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one call cost its user, and what that rests on."""

    model: str | None = None
    """The listing's id of the model that answered: what to group by."""
    spent_usd: Decimal | None = None
    computed_usd: Decimal | None = None
    cost_source: CostSource = "unknown"
    price_id: int | None = None


class PriceOverride(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rates that replace those of the price where its conditions hold.

    Matches when the prompt has more than `min_prompt_tokens` tokens, and the start of the call
    lies in [`utc_start`, `utc_end`) ("HHMM", may wrap midnight) on one of `utc_days`.
    """

    min_prompt_tokens: int | None = None
    utc_start: str | None = None
    utc_end: str | None = None
    utc_days: tuple[str, ...] | None = None
    prompt: Decimal | None = None
    completion: Decimal | None = None
    audio: Decimal | None = None
    input_audio_cache: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of one model (at one provider endpoint) during one interval, USD per unit.

    Per token: prompt, completion, image_token, image_output, audio, audio_output,
    input_audio_cache, internal_reasoning, input_cache_read, input_cache_write (5 minutes),
    input_cache_write_1h. Per call: request. Per image or token by model: image. Per search:
    web_search. None where the listing has none, and where a router decides ("-1").
    """

    model: str
    valid_from_us: int
    valid_until_us: int | None = None
    id: int | None = None
    canonical_slug: str | None = None
    alias_target: str | None = None
    provider: str | None = None
    endpoint_tag: str | None = None
    service_tier: str | None = None
    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    image_token: Decimal | None = None
    image_output: Decimal | None = None
    audio: Decimal | None = None
    audio_output: Decimal | None = None
    input_audio_cache: Decimal | None = None
    web_search: Decimal | None = None
    internal_reasoning: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    input_cache_write_1h: Decimal | None = None
    discount: Decimal | None = None
    overrides: tuple[PriceOverride, ...] = ()
    source: str | None = None
    fetched_us: int | None = None
