"""Calls, what was said in them, and the operations that they were made in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Double, Index, Integer, SmallInteger, Text

from tachograph.store.column_types import Id, Instant, Money
from tachograph.store.tables.metadata import column, metadata

calls = sa.Table(
    "calls",
    metadata,
    # identity
    column(
        "id",
        Id,
        "UUIDv7 of the call, minted with `started_at`: its order is time",
        primary_key=True,
        nullable=False,
    ),
    column("operation_id", Id, "the operation: the id of its first call", nullable=False),
    column(
        "attempt",
        SmallInteger,
        "1, 2, ...: the order in which the calls of the operation began",
        nullable=False,
    ),
    column(
        "resend_count",
        SmallInteger,
        "0 for a request's first sending, 1 for its first retry, ...",
        nullable=False,
    ),
    column("operation_name", Text, "`gen_ai.operation.name`: chat, embeddings, ..."),
    column("name", Text, "the caller's own name for the operation"),
    column("session_id", Text, "from `operation(...)`, else from the request"),
    column("user_id", Text, "from `operation(...)`, else from the request"),
    column("tags", Text, "the caller's tags, a JSON object"),
    column("service_name", Text, "`service.name` of the app"),
    column("environment", Text, "`deployment.environment.name` of the app"),
    column("sdk", Text, "who called: `openai/3.52.0`, `httpx/0.28.1`"),
    column("api_key_hash", Text, "salted hash of the API key, only when asked for"),
    # request
    column(
        "host",
        Text,
        "as in the URL, with the port when it is not the scheme's own",
        nullable=False,
    ),
    column("path", Text, "below the base URL, ids replaced: `/chat/completions`", nullable=False),
    column("request_model", Text, "the model asked for; of a poll, the model of its job"),
    column("stream", Boolean, "an event stream was asked for"),
    column("max_tokens", BigInteger, "under whichever name it was sent"),
    column("temperature", Double, "as sent"),
    column("top_p", Double, "as sent"),
    column("reasoning_effort", Text, "as sent"),
    column("response_format", Text, "text, json_object, json_schema, ..."),
    column("tools", SmallInteger, "number of tools offered; null when none"),
    column(
        "parameters", Text, "other parameters, a JSON object; names only where content could be"
    ),
    column("request_bytes", BigInteger, "length of the request body"),
    # course and end
    column("started_us", Instant, "when the request was handed to the transport", nullable=False),
    column("latency_seconds", Double, "from there to the last piece received, or the failure"),
    column("headers_seconds", Double, "to the response headers; no measure of the model"),
    column(
        "first_token_seconds",
        Double,
        "to the first content, reasoning, tool-call or image piece of a stream",
    ),
    column("consumer_seconds", Double, "sum of the times that the reader held a piece"),
    column("outcome", Text, "completed, failed, abandoned, refused", nullable=False),
    column("http_status", SmallInteger, "null when no answer came"),
    column("error_type", Text, "one word of low cardinality: rate_limited, stream_cut, ..."),
    column("error_code", Text, "the code as sent"),
    column("error_message", Text, "scrubbed and cut"),
    column("retry_after_seconds", Double, "as sent"),
    column("chunks", Integer, "JSON data events of a stream that were read, without [DONE]"),
    column("response_bytes", BigInteger, "as they came over the wire"),
    # answer
    column("model", Text, "what to group by: the listing's id of the model that answered"),
    column("response_model", Text, "the model that answered, as sent"),
    column("provider", Text, "who served the tokens, in OpenRouter's word"),
    column("generation_id", Text, "`gen-...`, of the body or of `X-Generation-Id`"),
    column("finish_reason", Text, "the last that is not null"),
    column("native_finish_reason", Text, "the provider's own word"),
    column("service_tier", Text, "the tier that served"),
    column("cache_status", Text, "`X-OpenRouter-Cache-Status`: HIT, MISS"),
    column("routing", Text, "`openrouter_metadata`, JSON, when the caller asked for it"),
    # usage
    column("input_tokens", BigInteger, "all, cached included"),
    column("output_tokens", BigInteger, "all, reasoning included"),
    column("total_tokens", BigInteger, "as sent"),
    column("cache_read_input_tokens", BigInteger, "of input_tokens: read from a cache"),
    column("cache_write_input_tokens", BigInteger, "of input_tokens: written to a cache"),
    column("cache_write_1h_input_tokens", BigInteger, "of these: to a cache of one hour"),
    column("reasoning_output_tokens", BigInteger, "of output_tokens: reasoning"),
    column("audio_input_tokens", BigInteger, "of input_tokens: audio"),
    column("video_input_tokens", BigInteger, "of input_tokens: video"),
    column("image_output_tokens", BigInteger, "of output_tokens: images"),
    column("audio_output_tokens", BigInteger, "of output_tokens: audio"),
    column("search_units", BigInteger, "of /rerank"),
    column("audio_seconds", Double, "of /audio/transcriptions"),
    column("web_searches", BigInteger, "web searches that ran"),
    column("usage_extra", Text, "members of the usage object that no column holds, JSON"),
    # money
    column("billed_picousd", Money, "OpenRouter's own `usage.cost`; on BYOK its fee"),
    column("upstream_picousd", Money, "`cost_details.upstream_inference_cost`, as sent"),
    column("upstream_input_picousd", Money, "its part for the prompt"),
    column("upstream_output_picousd", Money, "its part for the completion"),
    column("is_byok", Boolean, "billed to the user's own provider key"),
    column("spent_picousd", Money, "what the call cost its user; null when nothing is known"),
    column("computed_picousd", Money, "Usage x Price, by the price valid at `started_at`"),
    column(
        "cost_source",
        Text,
        "what spent rests on: billed, reconciled, computed, unknown",
        nullable=False,
    ),
    column("price_id", BigInteger, "the row of `prices` that computed used"),
    # trace
    column("trace_id", sa.LargeBinary(16), "32 hex digits in frames"),
    column("span_id", sa.LargeBinary(8), "16 hex digits in frames"),
    column("parent_span_id", sa.LargeBinary(8), "16 hex digits in frames"),
    column("trace_sampled", Boolean, "null without a tracer"),
    column("resend_of", Id, "the call that this one sends again; null for a first sending"),
    column("job_id", Text, "of /videos and /batches: the job that the call began or asked for"),
    column(
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

contents = sa.Table(
    "contents",
    metadata,
    column("call_id", Id, "the call whose content it is", primary_key=True, nullable=False),
    column("request", Text, "JSON: what was sent, as far as it may be kept"),
    column("answer", Text, "JSON: what came back; of a stream, put together from its events"),
    column("redacted", Text, "JSON object: what was left out, how often; null: nothing"),
)
"""Only where `capture_content` asks for it. With a rowid, since its rows are long."""

operation_spans = sa.Table(
    "operation_spans",
    metadata,
    column("id", Id, "UUIDv7 of the entry: its order is time", primary_key=True, nullable=False),
    column("operation_id", Id, "of the calls made inside; null where there were none"),
    column("name", Text, "as it was given"),
    column("session_id", Text, "as it was given"),
    column("tags", Text, "as they were given, a JSON object"),
    column("service_name", Text, "`service.name` of the app"),
    column("environment", Text, "`deployment.environment.name` of the app"),
    column("started_us", Instant, "when it was entered", nullable=False),
    column("ended_us", Instant, "when it was left", nullable=False),
    column("error_type", Text, "the class of the exception that left it"),
    column("trace_id", sa.LargeBinary(16), "as in `calls`", nullable=False),
    column("span_id", sa.LargeBinary(8), "the `parent_span_id` of its calls", nullable=False),
    column("parent_span_id", sa.LargeBinary(8), "the span of the app that it was entered under"),
    sqlite_with_rowid=False,
)
"""Spans of `recorder.operation` that were sampled, for `tachograph export spans`."""
