"""The tables.

Money is BIGINT pico-dollars (`..._picousd`, 10^-12 USD), instants are BIGINT microseconds since
1970 UTC (`..._us`), ids are 16 bytes whose order is the order of time. Unit prices are decimal
text, since they may be finer than a pico-dollar and are never summed in SQL.
The view `call_log` shows calls readably. What each column means is in its `doc`; `docs/columns.md`
is made from it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Double, Index, Integer, SmallInteger, Text

from tachograph.store.column_types import ExactDecimal, Id, Instant, Money

REVISION = "0004"
"""The Alembic revision that this code reads and writes."""


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _col(name: str, kind: Any, doc: str, **kwargs: Any) -> sa.Column[Any]:
    kwargs.setdefault("nullable", not kwargs.get("primary_key", False))
    return sa.Column(name, kind, doc=doc, **kwargs)


calls = sa.Table(
    "calls",
    metadata,
    # identity
    _col(
        "id",
        Id,
        "UUIDv7 of the call, minted with `started_at`: its order is time",
        primary_key=True,
        nullable=False,
    ),
    _col("operation_id", Id, "the operation: the id of its first call", nullable=False),
    _col(
        "attempt",
        SmallInteger,
        "1, 2, ...: the order in which the calls of the operation began",
        nullable=False,
    ),
    _col(
        "resend_count",
        SmallInteger,
        "0 for a request's first sending, 1 for its first retry, ...",
        nullable=False,
    ),
    _col("operation_name", Text, "`gen_ai.operation.name`: chat, embeddings, ..."),
    _col("name", Text, "the caller's own name for the operation"),
    _col("session_id", Text, "from `operation(...)`, else from the request"),
    _col("user_id", Text, "from `operation(...)`, else from the request"),
    _col("tags", Text, "the caller's tags, a JSON object"),
    _col("service_name", Text, "`service.name` of the app"),
    _col("environment", Text, "`deployment.environment.name` of the app"),
    _col("sdk", Text, "who called: `openai/3.52.0`, `httpx/0.28.1`"),
    _col("api_key_hash", Text, "salted hash of the API key, only when asked for"),
    # request
    _col(
        "host",
        Text,
        "as in the URL, with the port when it is not the scheme's own",
        nullable=False,
    ),
    _col("path", Text, "below the base URL, ids replaced: `/chat/completions`", nullable=False),
    _col("request_model", Text, "the model asked for; of a poll, the model of its job"),
    _col("stream", Boolean, "an event stream was asked for"),
    _col("max_tokens", BigInteger, "under whichever name it was sent"),
    _col("temperature", Double, "as sent"),
    _col("top_p", Double, "as sent"),
    _col("reasoning_effort", Text, "as sent"),
    _col("response_format", Text, "text, json_object, json_schema, ..."),
    _col("tools", SmallInteger, "number of tools offered; null when none"),
    _col("parameters", Text, "other parameters, a JSON object; names only where content could be"),
    _col("request_bytes", BigInteger, "length of the request body"),
    # course and end
    _col("started_us", Instant, "when the request was handed to the transport", nullable=False),
    _col("latency_seconds", Double, "from there to the last piece received, or the failure"),
    _col("headers_seconds", Double, "to the response headers; no measure of the model"),
    _col(
        "first_token_seconds",
        Double,
        "to the first content, reasoning, tool-call or image piece of a stream",
    ),
    _col("consumer_seconds", Double, "sum of the times that the reader held a piece"),
    _col("outcome", Text, "completed, failed, abandoned, refused", nullable=False),
    _col("http_status", SmallInteger, "null when no answer came"),
    _col("error_type", Text, "one word of low cardinality: rate_limited, stream_cut, ..."),
    _col("error_code", Text, "the code as sent"),
    _col("error_message", Text, "scrubbed and cut"),
    _col("retry_after_seconds", Double, "as sent"),
    _col("chunks", Integer, "JSON data events of a stream that were read, without [DONE]"),
    _col("response_bytes", BigInteger, "as they came over the wire"),
    # answer
    _col("model", Text, "what to group by: the listing's id of the model that answered"),
    _col("response_model", Text, "the model that answered, as sent"),
    _col("provider", Text, "who served the tokens, in OpenRouter's word"),
    _col("generation_id", Text, "`gen-...`, of the body or of `X-Generation-Id`"),
    _col("finish_reason", Text, "the last that is not null"),
    _col("native_finish_reason", Text, "the provider's own word"),
    _col("service_tier", Text, "the tier that served"),
    _col("cache_status", Text, "`X-OpenRouter-Cache-Status`: HIT, MISS"),
    _col("routing", Text, "`openrouter_metadata`, JSON, when the caller asked for it"),
    # usage
    _col("input_tokens", BigInteger, "all, cached included"),
    _col("output_tokens", BigInteger, "all, reasoning included"),
    _col("total_tokens", BigInteger, "as sent"),
    _col("cache_read_input_tokens", BigInteger, "of input_tokens: read from a cache"),
    _col("cache_write_input_tokens", BigInteger, "of input_tokens: written to a cache"),
    _col("cache_write_1h_input_tokens", BigInteger, "of these: to a cache of one hour"),
    _col("reasoning_output_tokens", BigInteger, "of output_tokens: reasoning"),
    _col("audio_input_tokens", BigInteger, "of input_tokens: audio"),
    _col("video_input_tokens", BigInteger, "of input_tokens: video"),
    _col("image_output_tokens", BigInteger, "of output_tokens: images"),
    _col("audio_output_tokens", BigInteger, "of output_tokens: audio"),
    _col("search_units", BigInteger, "of /rerank"),
    _col("audio_seconds", Double, "of /audio/transcriptions"),
    _col("web_searches", BigInteger, "web searches that ran"),
    _col("usage_extra", Text, "members of the usage object that no column holds, JSON"),
    # money
    _col("billed_picousd", Money, "OpenRouter's own `usage.cost`; on BYOK its fee"),
    _col("upstream_picousd", Money, "`cost_details.upstream_inference_cost`, as sent"),
    _col("upstream_input_picousd", Money, "its part for the prompt"),
    _col("upstream_output_picousd", Money, "its part for the completion"),
    _col("is_byok", Boolean, "billed to the user's own provider key"),
    _col("spent_picousd", Money, "what the call cost its user; null when nothing is known"),
    _col("computed_picousd", Money, "Usage x Price, by the price valid at `started_at`"),
    _col(
        "cost_source",
        Text,
        "what spent rests on: billed, reconciled, computed, unknown",
        nullable=False,
    ),
    _col("price_id", BigInteger, "the row of `prices` that computed used"),
    # trace
    _col("trace_id", sa.LargeBinary(16), "32 hex digits in frames"),
    _col("span_id", sa.LargeBinary(8), "16 hex digits in frames"),
    _col("parent_span_id", sa.LargeBinary(8), "16 hex digits in frames"),
    _col("trace_sampled", Boolean, "null without a tracer"),
    _col("resend_of", Id, "the call that this one sends again; null for a first sending"),
    _col("job_id", Text, "of /videos and /batches: the job that the call began or asked for"),
    _col(
        "foreign_span",
        Boolean,
        "the ids are of another instrumentation's span, which stands for the call; "
        "null without a tracer, and where an older version stored it",
    ),
    sqlite_with_rowid=False,
)

Index(
    "ix_calls_operation_id",
    calls.c.operation_id,
    sqlite_where=calls.c.operation_id != calls.c.id,
    postgresql_where=calls.c.operation_id != calls.c.id,
)
Index(
    "ix_calls_session_id",
    calls.c.session_id,
    sqlite_where=calls.c.session_id.is_not(None),
    postgresql_where=calls.c.session_id.is_not(None),
)

Index(
    "ix_calls_job_id",
    calls.c.job_id,
    sqlite_where=calls.c.job_id.is_not(None),
    postgresql_where=calls.c.job_id.is_not(None),
)

_PER_UNIT = (
    ("prompt", "per input token"),
    ("completion", "per output token"),
    ("request", "per call"),
    ("image", "per input image, or its token, by model"),
    ("image_token", "per input image token"),
    ("image_output", "per output image token"),
    ("audio", "per input audio token"),
    ("audio_output", "per output audio token"),
    ("input_audio_cache", "per cached input audio token"),
    ("web_search", "per search"),
    ("internal_reasoning", "per reasoning token"),
    ("input_cache_read", "per cached input token"),
    ("input_cache_write", "per input token written to a cache of five minutes"),
    ("input_cache_write_1h", "per input token written to a cache of one hour"),
)

UNIT_PRICES = tuple(name for name, _ in _PER_UNIT)

prices = sa.Table(
    "prices",
    metadata,
    _col(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "what `calls.price_id` names",
        primary_key=True,
        nullable=False,
    ),
    _col("model", Text, "id of the listing", nullable=False),
    _col("canonical_slug", Text, "the dated name that answers may carry"),
    _col("alias_target", Text, "the model behind an alias"),
    _col("provider", Text, "null: the listing's own price"),
    _col("endpoint_tag", Text, "`deepinfra/turbo`; null: the listing's own price"),
    _col("service_tier", Text, "null: the default tier"),
    _col("valid_from_us", Instant, "from here on", nullable=False),
    _col("valid_until_us", Instant, "before this instant; null: still"),
    *(_col(name, ExactDecimal, f"USD {unit}") for name, unit in _PER_UNIT),
    _col("discount", ExactDecimal, "the price is taken times (1 - discount)"),
    _col("overrides", Text, "JSON array: rates for long prompts or hours of the day"),
    _col("source", Text, "where it was read"),
    _col("fetched_us", Instant, "when it was read"),
    Index("ix_prices_model", "model"),
)

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    _col("call_id", Id, "the call that was looked up", primary_key=True, nullable=False),
    _col("asked_us", Instant, "when `/generation` was last asked", nullable=False),
    _col("found", Boolean, "it knew the generation; false: it never will", nullable=False),
    _col("total_picousd", Money, "its `total_cost`"),
    sqlite_with_rowid=False,
)

contents = sa.Table(
    "contents",
    metadata,
    _col("call_id", Id, "the call whose content it is", primary_key=True, nullable=False),
    _col("request", Text, "JSON: what was sent, as far as it may be kept"),
    _col("answer", Text, "JSON: what came back; of a stream, put together from its events"),
    _col("redacted", Text, "JSON object: what was left out, how often; null: nothing"),
)
"""Only where `capture_content` asks for it. With a rowid, since its rows are long."""

operation_spans = sa.Table(
    "operation_spans",
    metadata,
    _col("id", Id, "UUIDv7 of the entry: its order is time", primary_key=True, nullable=False),
    _col("operation_id", Id, "of the calls made inside; null where there were none"),
    _col("name", Text, "as it was given"),
    _col("session_id", Text, "as it was given"),
    _col("tags", Text, "as they were given, a JSON object"),
    _col("service_name", Text, "`service.name` of the app"),
    _col("environment", Text, "`deployment.environment.name` of the app"),
    _col("started_us", Instant, "when it was entered", nullable=False),
    _col("ended_us", Instant, "when it was left", nullable=False),
    _col("error_type", Text, "the class of the exception that left it"),
    _col("trace_id", sa.LargeBinary(16), "as in `calls`", nullable=False),
    _col("span_id", sa.LargeBinary(8), "the `parent_span_id` of its calls", nullable=False),
    _col("parent_span_id", sa.LargeBinary(8), "the span of the app that it was entered under"),
    sqlite_with_rowid=False,
)
"""Spans of `recorder.operation` that were sampled, for `tachograph export spans`."""

recorders = sa.Table(
    "recorders",
    metadata,
    _col("id", Id, "UUIDv7 of the recording process", primary_key=True, nullable=False),
    _col("began_us", Instant, "when it began", nullable=False),
    _col("last_seen_us", Instant, "when it last wrote", nullable=False),
    _col("host", Text, "name of the machine"),
    _col("pid", Integer, "number of the process"),
    _col("service_name", Text, "`service.name` of the app"),
    _col("made", BigInteger, "calls that ended", nullable=False),
    _col("stored", BigInteger, "calls that it put into `calls`", nullable=False),
    _col("dropped", Text, "JSON object: reason, number", nullable=False),
    _col("closed", Boolean, "its journal is empty and gone", nullable=False),
    sqlite_with_rowid=False,
)

journal_dead = sa.Table(
    "journal_dead",
    metadata,
    _col(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "order of arrival",
        primary_key=True,
        nullable=False,
    ),
    _col("recorder_id", Id, "whose journal held it"),
    _col("set_aside_us", Instant, "when", nullable=False),
    _col("reason", Text, "why it could not be stored", nullable=False),
    _col("record", sa.LargeBinary, "the record as it stood in the journal"),
)

rollups = sa.Table(
    "rollups",
    metadata,
    _col("hours", SmallInteger, "1: of an hour; 24: of a day (UTC)", primary_key=True),
    _col("started_us", Instant, "when that hour or day began", primary_key=True),
    _col("number", Integer, "counts the rows of an hour or day", primary_key=True),
    _col("model", Text, "of the calls that this row sums up"),
    _col("provider", Text, "of these calls"),
    _col("outcome", Text, "of these calls", nullable=False),
    _col("name", Text, "of their operations"),
    _col("calls", BigInteger, "how many they are", nullable=False),
    _col("calls_without_cost", BigInteger, "how many have no spent_usd", nullable=False),
    _col("input_tokens", BigInteger, "sum of what is known; null when nothing is"),
    _col("output_tokens", BigInteger, "likewise"),
    _col("cache_read_input_tokens", BigInteger, "likewise"),
    _col("reasoning_output_tokens", BigInteger, "likewise"),
    _col("billed_picousd", Money, "likewise"),
    _col("computed_picousd", Money, "likewise"),
    _col("spent_picousd", Money, "likewise"),
    _col("generated_tokens", BigInteger, "output_tokens of completed streams of 2 or more"),
    _col("generation_seconds", Double, "sum of latency - first token of these streams"),
    _col("latency_histogram", sa.LargeBinary, "of completed calls that no cache answered"),
    _col("first_token_histogram", sa.LargeBinary, "of those among them that have one"),
    _col("run", BigInteger, "the run of `tachograph rollup` that made this row", nullable=False),
    sqlite_with_rowid=False,
)
"""Rows may be added up as one likes. A histogram is a sequence of 4 bytes, the lowest first:
2^20 x (the number of the bucket + 2048) + how many values it holds; a bucket may stand there
more than once. `analytics/histogram.py` tells which values fall into a bucket."""

rollup_progress = sa.Table(
    "rollup_progress",
    metadata,
    _col("id", Integer, "there is one row", primary_key=True),
    _col("run", BigInteger, "counts how often it was rolled up", nullable=False),
    _col("watched_until_us", Instant, "a change before this leaves a note", nullable=False),
    _col("rolled_until_us", Instant, "all before this is rolled up", nullable=False),
)

rollup_changes = sa.Table(
    "rollup_changes",
    metadata,
    _col(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "order of arrival",
        primary_key=True,
    ),
    _col("hour_us", Instant, "an hour of which a call was added or changed", nullable=False),
)

rollup_gaps = sa.Table(
    "rollup_gaps",
    metadata,
    _col(
        "hour_us",
        Instant,
        "an hour of which calls were archived or deleted",
        primary_key=True,
        autoincrement=False,
    ),
    sqlite_with_rowid=False,
)
