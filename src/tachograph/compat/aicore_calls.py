"""One operation of AiCore -> a call, and what of its figures can be believed.

AiCore notes the time, by its machine's clock, when an operation has ended. It takes cached tokens
off the input; where it is told how many they were, which its own calls do not, it adds them to the
output. A call that failed has the tokens of the one before. Zero is what it writes where it knows
nothing.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import msgspec

from tachograph.core.ids import uuid7_of
from tachograph.core.pricing import round_usd
from tachograph.core.records import Call, Content, Usage
from tachograph.core.units import microseconds
from tachograph.openrouter.failures import scrub
from tachograph.openrouter.masking import Masking
from tachograph.openrouter.requests import read_request
from tachograph.openrouter.text import clean, fit
from tachograph.store.aicore import SDK

if TYPE_CHECKING:
    from datetime import tzinfo

    from tachograph.core.records import Outcome

TOOL_CALL = "acompletion.tool_call"
"""AiCore's word for an answer that calls tools."""


def call_of(row: Any, zone: tzinfo, *, content: bool) -> Call:
    """The call of a row of AiCore's tables; `zone` is that of its timestamps.

    Raises ValueError or OverflowError when its timestamp is none of our time.
    """
    ended = datetime.fromisoformat(row.timestamp or "")
    if ended.tzinfo is None:
        ended = ended.replace(tzinfo=zone)
    started_us = microseconds(ended - timedelta(milliseconds=row.latency_ms or 0))
    id_ = uuid7_of(row.operation_id, started_us)
    failed = is_failed(row)
    outcome: Outcome = "failed" if failed else "completed"
    args = clean(row.completion_args or "")
    facts = read_request(args.encode())
    asked = {} if facts is None else _object(args)
    told = dict.fromkeys(Call.__struct_fields__) | {
        "id": id_,
        "operation_id": id_,
        "attempt": 1,
        "resend_count": 0,
        "operation_name": "chat",
        "session_id": _text(row.session_id),
        "tags": _tags(row),
        "sdk": SDK,
        "host": "openrouter.ai",
        "path": "/responses" if "input" in asked and "messages" not in asked else _CHAT,
        "request_model": (facts and facts.model) or _text(row.model),
        "stream": None if facts is None else facts.stream,
        "max_tokens": (facts and facts.max_tokens) or row.max_tokens or None,
        "temperature": row.temperature or None if facts is None else facts.temperature,
        "top_p": facts and facts.top_p,
        "reasoning_effort": facts and facts.reasoning_effort,
        "response_format": facts and facts.response_format,
        "tools": facts and facts.tools,
        "started_us": started_us,
        "latency_seconds": row.latency_ms / 1000 if row.latency_ms else None,
        "outcome": outcome,
        "error_message": _error(row.error_message) if failed else None,
        "finish_reason": "tool_calls" if row.operation_type == TOOL_CALL else None,
        "content": _content(row, asked) if content else None,
    }
    return Call(**cast("dict[str, Any]", told))


_CHAT = "/chat/completions"


def usage_of(row: Any) -> Usage:
    """Tokens as OpenRouter counts them; what AiCore itself said stands in `usage_extra`."""
    said = {"operation_id": row.operation_id, "operation_type": row.operation_type}
    if row.cost:
        said["cost"] = row.cost
    extra = fit(msgspec.json.encode({"aicore": said}).decode())
    counts = (row.input_tokens, row.output_tokens, row.cached_tokens)
    read, written, cached = (count or 0 for count in counts)
    if is_failed(row) or not read + written:
        return Usage(usage_extra=extra)
    return Usage(
        input_tokens=read + cached,
        output_tokens=max(written - cached, 0),
        total_tokens=read + written,
        cache_read_input_tokens=cached or None,
        usage_extra=extra,
    )


def cost_of(row: Any) -> Decimal | None:
    """What AiCore computed; None where it knew no price, or the call failed."""
    if is_failed(row) or not row.cost or not 0 < row.cost < math.inf:
        return None
    return round_usd(Decimal(str(row.cost)))


def is_failed(row: Any) -> bool:
    """Whether it ended in an error; an empty answer alone, AiCore's other failure, is none."""
    return not row.success and bool(row.error_message)


def _error(message: str) -> str:
    """Of a traceback, its last line: the rest is code."""
    said = message.strip()
    return scrub(said.splitlines()[-1] if said.startswith("Traceback") else said, {})


def _tags(row: Any) -> str | None:
    """Its extras, and the three of whom, what and where."""
    tags = _object(row.extras)
    for name, value in (
        ("agent", row.agent_id),
        ("action", row.action_id),
        ("workspace", row.workspace),
    ):
        if value:
            tags[name] = value
    return fit(msgspec.json.encode(tags).decode()) if tags else None


def _content(row: Any, asked: dict[str, Any]) -> Content | None:
    """The request as it was sent, else the prompts alone; and the text of the answer."""
    if not asked:
        texts = (("system", row.system_prompt), ("user", row.user_prompt))
        messages = [{"role": role, "content": text} for role, text in texts if text]
        asked = {"messages": messages} if messages else {}
    answer = None
    if row.response:
        called = row.operation_type == TOOL_CALL
        said = {"tool_calls": _value(row.response)} if called else {"content": row.response}
        answer = {"choices": [{"index": 0, "message": {"role": "assistant", **said}}]}
    if not asked and answer is None:
        return None
    masking = Masking()
    kept = [masking.fitted(masking.clean(value)) for value in (asked or None, answer)]
    left_out = masking.left_out
    redacted = msgspec.json.encode(left_out).decode() if left_out else None
    return Content(kept[0], kept[1], redacted)


def _object(text: str | None) -> dict[str, Any]:
    value = _value(text or "{}")
    return value if isinstance(value, dict) else {}


def _value(text: str) -> Any:
    """What the text is as JSON; the text itself where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _text(value: str | None) -> str | None:
    return fit(value) if value else None
