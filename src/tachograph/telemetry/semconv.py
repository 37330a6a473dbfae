"""Every name that a span or a metric carries, spelled once.

The GenAI conventions are in motion and known in two dialects: `MAIN`, the main branch of
open-telemetry/semantic-conventions-genai (our default), and `V1_42`, the last that was shipped
with the conventions at large (v1.42.0-dev). What has no convention yet is ours, `openrouter.*`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Final, Literal, NamedTuple

SCOPE: Final = "tachograph"
"""The instrumentation scope of our spans and metrics."""

PROVIDER: Final = "openrouter"
"""`gen_ai.provider.name` of every call; who served the tokens is `OPENROUTER_PROVIDER`."""

# general conventions
ERROR_TYPE: Final = "error.type"
ERROR_TYPE_OTHER: Final = "_OTHER"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
ENVIRONMENT: Final = "deployment.environment.name"
URL_TEMPLATE: Final = "url.template"

# GenAI conventions, the same in both dialects
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_EMBEDDINGS_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_OUTPUT_TYPE: Final = "gen_ai.output.type"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
GEN_AI_REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
GEN_AI_REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
GEN_AI_REQUEST_SEED: Final = "gen_ai.request.seed"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
GEN_AI_REQUEST_TOP_K: Final = "gen_ai.request.top_k"
GEN_AI_REQUEST_TOP_P: Final = "gen_ai.request.top_p"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105
GEN_AI_SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
GEN_AI_USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"

# not yet a convention, but what backends read; never beside `gen_ai.usage.cost.amount`, which
# would make this a name and a namespace at once
GEN_AI_USAGE_COST: Final = "gen_ai.usage.cost"

# how OpenInference marks its span of a call
OPENINFERENCE_KIND: Final = "openinference.span.kind"

# ours
OPENROUTER_ATTEMPT: Final = "openrouter.attempt"
OPENROUTER_CACHE_STATUS: Final = "openrouter.cache_status"
OPENROUTER_CALL_ID: Final = "openrouter.call_id"
OPENROUTER_COMPUTED_COST: Final = "openrouter.computed_cost"
OPENROUTER_COST: Final = "openrouter.cost"
OPENROUTER_COST_SOURCE: Final = "openrouter.cost_source"
OPENROUTER_ERROR_CODE: Final = "openrouter.error_code"
OPENROUTER_GENERATION_ID: Final = "openrouter.generation_id"
OPENROUTER_IS_BYOK: Final = "openrouter.is_byok"
OPENROUTER_MODEL: Final = "openrouter.model"
OPENROUTER_NATIVE_FINISH_REASON: Final = "openrouter.native_finish_reason"
OPENROUTER_OPERATION_ID: Final = "openrouter.operation_id"
OPENROUTER_OPERATION_NAME: Final = "openrouter.operation_name"
OPENROUTER_OUTCOME: Final = "openrouter.outcome"
OPENROUTER_PROVIDER: Final = "openrouter.provider"
OPENROUTER_RETRY_AFTER: Final = "openrouter.retry_after_seconds"
OPENROUTER_SERVICE_TIER: Final = "openrouter.service_tier"
OPENROUTER_TAG: Final = "openrouter.tag."
"""Followed by the caller's own name for the tag."""
OPENROUTER_UPSTREAM_COST: Final = "openrouter.upstream_cost"

EVENT_FIRST_TOKEN: Final = "openrouter.first_token"  # noqa: S105
EVENT_CALL_FAILED: Final = "openrouter.call_failed"
"""On the span of another instrumentation, which may cover several sendings of a request."""
EVENT_ERROR_IN_ANSWER: Final = "openrouter.error_in_answer"

# metrics of ours: of calls, and of the recorder itself
METRIC_CALLS: Final = "openrouter.client.calls"
METRIC_COST: Final = "openrouter.client.cost"
METRIC_MADE: Final = "tachograph.calls.made"
METRIC_STORED: Final = "tachograph.calls.stored"
METRIC_DROPPED: Final = "tachograph.calls.dropped"
METRIC_WAITING: Final = "tachograph.calls.waiting"
METRIC_IN_FLIGHT: Final = "tachograph.calls.in_flight"
METRIC_JOURNAL: Final = "tachograph.journal.size"
METRIC_LAG: Final = "tachograph.writer.lag"
DROP_REASON: Final = "tachograph.drop.reason"

DURATION_BUCKETS: Final = tuple(0.01 * 2**n for n in range(14))
"""Seconds, as the conventions want them."""
TOKEN_BUCKETS: Final = tuple(float(4**n) for n in range(14))

DialectName = Literal["main", "1.42"]


class Dialect(NamedTuple):
    """The names in which the two dialects differ; None where a dialect has none."""

    usage_cache_write: str
    request_top_k: type[int] | type[float]
    """The type of `gen_ai.request.top_k`."""
    request_reasoning_level: str | None
    usage_audio_input: str | None
    usage_audio_output: str | None
    usage_image_output: str | None
    duration: str
    """Histogram of seconds of an inference; of what is none it is `OPERATION_DURATION`."""
    time_to_first_chunk: str
    time_per_output_chunk: str
    token_usage: str | None
    """Histogram by `gen_ai.token.type`."""
    inference_tokens: tuple[str, str] | None
    """Histograms of input and output tokens."""
    inference_usage: tuple[str, str, str, str, str] | None
    """Counters by modality: input, output, cache read, cache write, reasoning."""


OPERATION_DURATION: Final = "gen_ai.client.operation.duration"

MAIN: Final = Dialect(
    usage_cache_write="gen_ai.usage.cache_write.input_tokens",
    request_top_k=int,
    request_reasoning_level="gen_ai.request.reasoning.level",
    usage_audio_input="gen_ai.usage.audio.input_tokens",
    usage_audio_output="gen_ai.usage.audio.output_tokens",
    usage_image_output="gen_ai.usage.image.output_tokens",
    duration="gen_ai.client.inference.duration",
    time_to_first_chunk="gen_ai.client.inference.time_to_first_chunk",
    time_per_output_chunk="gen_ai.client.inference.time_per_output_chunk",
    token_usage=None,
    inference_tokens=(
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    ),
    inference_usage=(
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.cache_write.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    ),
)

V1_42: Final = Dialect(
    usage_cache_write="gen_ai.usage.cache_creation.input_tokens",
    request_top_k=float,
    request_reasoning_level=None,
    usage_audio_input=None,
    usage_audio_output=None,
    usage_image_output=None,
    duration=OPERATION_DURATION,
    time_to_first_chunk="gen_ai.client.operation.time_to_first_chunk",
    time_per_output_chunk="gen_ai.client.operation.time_per_output_chunk",
    token_usage="gen_ai.client.token.usage",  # noqa: S106
    inference_tokens=None,
    inference_usage=None,
)

DIALECTS: Final[dict[DialectName, Dialect]] = {"main": MAIN, "1.42": V1_42}


@cache
def scope_version() -> str:
    """The version of the instrumentation scope: ours."""
    return version("tachograph")
