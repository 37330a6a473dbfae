"""Call, Usage and Cost -> what a span of that call says: name, attributes, events, status.

Only facts that stand in SQL as well, so that a span made again from a stored row is the same.
Never prompts or answers. Unknown is left out; money is a float here, since OpenTelemetry has
no decimal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from tachograph.telemetry import semconv as names

if TYPE_CHECKING:
    from tachograph.core.records import Call, Cost, Usage
    from tachograph.telemetry.semconv import Dialect

Attributes = dict[str, Any]
"""Names and values: str, bool, int, float or list[str]."""

_OUTPUT_TYPES = {"text": "text", "json_object": "json", "json_schema": "json"}
_OUTPUT_TYPE_OF_OPERATION = {"image_generation": "image", "speech": "speech"}
_HAS_FINISH_REASON = frozenset({"chat", "text_completion"})


class Event(NamedTuple):
    name: str
    at_us: int
    attributes: Attributes


def span_name(call: Call) -> str:
    """`chat openai/gpt-5`; what infers nothing has the name of its path."""
    if call.operation_name is None:
        return call.path
    if call.request_model is None:
        return call.operation_name
    return f"{call.operation_name} {call.request_model}"


def start_attributes(call: Call) -> Attributes:
    """Those that samplers may look at; also the dimensions of every metric."""
    attributes: Attributes = {names.GEN_AI_PROVIDER_NAME: names.PROVIDER}
    _put(attributes, names.GEN_AI_OPERATION_NAME, call.operation_name)
    _put(attributes, names.GEN_AI_REQUEST_MODEL, call.request_model)
    address, port = _server(call.host)
    attributes[names.SERVER_ADDRESS] = address
    _put(attributes, names.SERVER_PORT, port)
    return attributes


def end_attributes(call: Call, usage: Usage | None, cost: Cost, dialect: Dialect) -> Attributes:
    """All others."""
    attributes: Attributes = {
        names.URL_TEMPLATE: call.path,
        names.OPENROUTER_CALL_ID: str(UUID(bytes=call.id)),
        names.OPENROUTER_OPERATION_ID: str(UUID(bytes=call.operation_id)),
        names.OPENROUTER_ATTEMPT: call.attempt,
        names.OPENROUTER_OUTCOME: call.outcome,
    }
    _put_request(attributes, call, dialect)
    _put_answer(attributes, call)
    if usage is not None:
        _put_usage(attributes, usage, dialect)
    _put_cost(attributes, usage, cost)
    return attributes


def error_type(call: Call) -> str | None:
    """`error.type`; None of a call that is no error: completed, or left early on purpose."""
    if call.error_type is not None:
        return call.error_type
    if call.outcome in ("failed", "refused"):
        return names.ERROR_TYPE_OTHER
    return None


def operation_attributes(name: str | None, session: str | None, tags: str | None) -> Attributes:
    """What the caller's own words say of an operation and of each call in it."""
    attributes: Attributes = {}
    _put(attributes, names.GEN_AI_CONVERSATION_ID, session)
    _put(attributes, names.OPENROUTER_OPERATION_NAME, name)
    for tag, value in _object(tags).items():
        if isinstance(value, str | bool | int | float):
            attributes[names.OPENROUTER_TAG + tag] = value
    return attributes


def first_token(call: Call) -> Event | None:
    if call.first_token_seconds is None:
        return None
    at_us = call.started_us + round(call.first_token_seconds * 1e6)
    return Event(names.EVENT_FIRST_TOKEN, at_us, {})


def events(call: Call) -> list[Event]:
    """The first token, and an error that came inside an answer that had begun well."""
    first = first_token(call)
    happened = [] if first is None else [first]
    if call.outcome == "failed" and call.http_status is not None and call.http_status < 400:
        attributes: Attributes = {names.ERROR_TYPE: error_type(call)}
        _put(attributes, names.OPENROUTER_ERROR_CODE, call.error_code)
        happened.append(Event(names.EVENT_ERROR_IN_ANSWER, end_us(call), attributes))
    return happened


def end_us(call: Call) -> int:
    """When it ended; of a call whose process died, the last instant that is known of it."""
    seconds = call.latency_seconds
    if seconds is None:
        seconds = max(call.headers_seconds or 0.0, call.first_token_seconds or 0.0)
    return call.started_us + round(seconds * 1e6)


def _server(host: str) -> tuple[str, int | None]:
    """Address and port. A host without a port has that of its scheme, which is not recorded: it
    is known of OpenRouter alone, and a gateway's is left out rather than guessed."""
    address, colon, port = host.rpartition(":")
    if colon and port.isdecimal():  # else it is an IPv6 address without a port
        return address.strip("[]"), int(port)
    of_openrouter = host == "openrouter.ai" or host.endswith(".openrouter.ai")
    return host.strip("[]"), 443 if of_openrouter else None


def _put_request(attributes: Attributes, call: Call, dialect: Dialect) -> None:
    if call.stream:
        attributes[names.GEN_AI_REQUEST_STREAM] = True
    if call.resend_count:
        attributes[names.HTTP_RESEND_COUNT] = call.resend_count
    _put(attributes, names.GEN_AI_REQUEST_MAX_TOKENS, call.max_tokens)
    _put(attributes, names.GEN_AI_REQUEST_TEMPERATURE, _float(call.temperature))
    _put(attributes, names.GEN_AI_REQUEST_TOP_P, _float(call.top_p))
    _put(attributes, dialect.request_reasoning_level, call.reasoning_effort)
    _put(
        attributes,
        names.GEN_AI_OUTPUT_TYPE,
        _OUTPUT_TYPE_OF_OPERATION.get(call.operation_name or "")
        or _OUTPUT_TYPES.get(call.response_format or ""),
    )
    attributes.update(operation_attributes(call.name, call.session_id, call.tags))
    if call.parameters is not None:
        _put_parameters(attributes, _object(call.parameters), call.operation_name, dialect)


def _put_parameters(
    attributes: Attributes,
    parameters: dict[str, Any],
    operation_name: str | None,
    dialect: Dialect,
) -> None:
    def number(name: str, parameter: str, kind: type[int] | type[float]) -> None:
        value = parameters.get(parameter)
        if isinstance(value, kind | int) and not isinstance(value, bool):
            attributes[name] = kind(value)

    number(names.GEN_AI_REQUEST_SEED, "seed", int)
    number(names.GEN_AI_REQUEST_TOP_K, "top_k", dialect.request_top_k)
    number(names.GEN_AI_REQUEST_FREQUENCY_PENALTY, "frequency_penalty", float)
    number(names.GEN_AI_REQUEST_PRESENCE_PENALTY, "presence_penalty", float)
    if parameters.get("n") != 1:
        number(names.GEN_AI_REQUEST_CHOICE_COUNT, "n", int)
    if operation_name == "embeddings":
        number(names.GEN_AI_EMBEDDINGS_DIMENSIONS, "dimensions", int)
        encoding = parameters.get("encoding_format")
        if isinstance(encoding, str):
            attributes[names.GEN_AI_REQUEST_ENCODING_FORMATS] = [encoding]


def _put_answer(attributes: Attributes, call: Call) -> None:
    _put(attributes, names.HTTP_STATUS, call.http_status)
    _put(attributes, names.GEN_AI_RESPONSE_ID, call.generation_id)
    _put(attributes, names.GEN_AI_RESPONSE_MODEL, call.response_model)
    _put(attributes, names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, _float(call.first_token_seconds))
    reason = call.finish_reason
    if reason is None and call.outcome != "completed" and call.operation_name in _HAS_FINISH_REASON:
        reason = "error"  # so the conventions want it where a reason was expected and none came
    if reason is not None:
        attributes[names.GEN_AI_RESPONSE_FINISH_REASONS] = [reason]
    _put(attributes, names.OPENROUTER_NATIVE_FINISH_REASON, call.native_finish_reason)
    _put(attributes, names.OPENROUTER_GENERATION_ID, call.generation_id)
    _put(attributes, names.OPENROUTER_PROVIDER, call.provider)
    _put(attributes, names.OPENROUTER_SERVICE_TIER, call.service_tier)
    _put(attributes, names.OPENROUTER_CACHE_STATUS, call.cache_status)
    _put(attributes, names.ERROR_TYPE, error_type(call))
    _put(attributes, names.OPENROUTER_ERROR_CODE, call.error_code)
    _put(attributes, names.OPENROUTER_RETRY_AFTER, _float(call.retry_after_seconds))


def _put_usage(attributes: Attributes, usage: Usage, dialect: Dialect) -> None:
    _put(attributes, names.GEN_AI_USAGE_INPUT, usage.input_tokens)
    _put(attributes, names.GEN_AI_USAGE_OUTPUT, usage.output_tokens)
    _put(attributes, names.GEN_AI_USAGE_CACHE_READ, usage.cache_read_input_tokens)
    _put(attributes, dialect.usage_cache_write, usage.cache_write_input_tokens)
    _put(attributes, names.GEN_AI_USAGE_REASONING, usage.reasoning_output_tokens)
    _put(attributes, dialect.usage_audio_input, usage.audio_input_tokens)
    _put(attributes, dialect.usage_audio_output, usage.audio_output_tokens)
    _put(attributes, dialect.usage_image_output, usage.image_output_tokens)


def _put_cost(attributes: Attributes, usage: Usage | None, cost: Cost) -> None:
    spent = _float(cost.spent_usd)
    _put(attributes, names.OPENROUTER_COST, spent)
    _put(attributes, names.GEN_AI_USAGE_COST, spent)
    attributes[names.OPENROUTER_COST_SOURCE] = cost.cost_source
    _put(attributes, names.OPENROUTER_COMPUTED_COST, _float(cost.computed_usd))
    _put(attributes, names.OPENROUTER_MODEL, cost.model)
    if usage is not None:
        _put(attributes, names.OPENROUTER_UPSTREAM_COST, _float(usage.upstream_usd))
        _put(attributes, names.OPENROUTER_IS_BYOK, usage.is_byok)


def _put(attributes: Attributes, name: str | None, value: Any) -> None:
    if name is not None and value is not None:
        attributes[name] = value


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object that was written by us: tags, parameters."""
    if text is None:
        return {}
    value = msgspec.json.decode(text)
    return value if isinstance(value, dict) else {}
