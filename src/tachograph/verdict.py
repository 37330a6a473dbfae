"""How a call ended: its outcome, and the failure behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachograph.core.headers import credential
from tachograph.openrouter.failures import (
    Failure,
    edge_failure,
    failure_of,
    transport_failure,
)

if TYPE_CHECKING:
    from tachograph.core.capture import Capture
    from tachograph.core.records import Outcome
    from tachograph.openrouter.answer import Answer

_STREAM_CUT = ("remote_protocol_error", "read_error")


def outcome_of(
    request: Any,
    status: int | None,
    capture: Capture,
    answer: Answer,
    exc: BaseException | None,
    how: str | None,
    exhausted: bool,
) -> tuple[Outcome, Failure | None]:
    """The outcome: the first rule that matches (docs/concepts.md, "outcome").

    `status` is None where no head came, `exc` what the transport raised; `how` says in a word why
    nobody read on, and `exhausted` that the body was read to its end.
    """
    if status is not None and (status >= 400 or answer.failed):
        return "failed", _stated_failure(request, status, capture, answer, exhausted)
    if isinstance(exc, Exception):
        failure = transport_failure(exc)
        if capture.streamed and failure.error_type in _STREAM_CUT:
            failure = failure._replace(error_type="stream_cut")
        return "failed", failure
    if answer.terminal or answer.finish_reason is not None:
        return "completed", None
    if (exhausted or capture.undecodable is not None) and status is not None:
        has_no_json = (
            300 <= status < 400
            or status == 204
            or request.method == "HEAD"
            or (capture.binary and capture.response_bytes)
        )
        if has_no_json:
            return "completed", None
        if capture.streamed and capture.undecodable is None:
            return "failed", Failure("stream_cut")
        return "failed", Failure("malformed_answer", None, capture.undecodable)
    return "abandoned", Failure(how) if how else None


def _stated_failure(
    request: Any, status: int, capture: Capture, answer: Answer, exhausted: bool
) -> Failure:
    if answer.error is None and status < 400:  # finish_reason `error` and nothing more
        return Failure("provider_error", answer.native_finish_reason)
    foreign = capture.response_bytes and not answer.terminal and capture.undecodable is None
    if answer.error is None and exhausted and foreign:
        return edge_failure(status)
    return _without_key(failure_of(status, answer.error, answer.error_type), request)


def _without_key(failure: Failure, request: Any) -> Failure:
    """Some gateways repeat in their message the key that they refuse."""
    message = failure.error_message
    for name in ("authorization", "x-api-key"):
        key = credential(request.headers.get(name, ""))
        if message and len(key) >= 8:
            message = message.replace(key, "[redacted]")
            cut = next((n for n in range(len(key) - 1, 3, -1) if message.endswith(key[:n])), None)
            if cut is not None:  # the message was cut within the key
                message = f"{message[:-cut]}[redacted]"
    return failure._replace(error_message=message)
