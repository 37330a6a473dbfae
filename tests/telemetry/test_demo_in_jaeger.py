"""`tachograph demo` with a real Jaeger: each call of SQL is there once, as SQL tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from tachograph.analytics import read_calls
from tests.telemetry.jaeger import Jaeger, references, tags

Row = dict[str, Any]
Span = dict[str, Any]


def _demo(folder: Path, service: str, endpoint: str) -> list[Row]:
    """Runs it; the rows that it left in SQL."""
    said = subprocess.run(
        [sys.executable, "-c", "from tachograph.cli import main; main()", "demo", "--calls", "60"],
        cwd=folder,
        env={
            **os.environ,
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert f"Their spans go to {endpoint}, as those of the service {service}." in said.stdout
    assert said.stderr == ""
    calls = read_calls(f"sqlite:///{folder / 'tachograph-demo.db'}")
    return list(calls.iter_rows(named=True))


def test_sql_and_jaeger_tell_the_same(jaeger: Jaeger, protocol: str, tmp_path: Path) -> None:
    service = f"demo-over-{protocol.replace('/', '-')}"
    rows = _demo(tmp_path, service, jaeger.endpoint(protocol))
    calls = jaeger.spans_of(service, "client", len(rows))
    names = Counter(row["name"] for row in rows if row["name"])
    operations = {span["spanID"]: span for span in jaeger.spans_of(service, "internal", len(names))}

    found = {tags(span)["openrouter.call_id"]: span for span in calls}
    assert len(calls) == len(found)
    assert found.keys() == {row["id"] for row in rows}
    by_span = {row["span_id"]: row for row in rows}
    for row in rows:
        _compare(row, found[row["id"]], by_span)
        if row["name"] is None:
            assert row["span_id"] not in operations
        else:
            _is_below(found[row["id"]], operations[row["parent_span_id"]], row)
    assert operations.keys() == {row["parent_span_id"] for row in rows if row["name"]}
    _export(tmp_path, jaeger.endpoint(protocol))
    for kind, ids in (("client", by_span), ("internal", operations)):
        again = jaeger.spans_of(service, kind, 2 * len(ids), seconds=1)
        assert sorted(span["spanID"] for span in again) == sorted(ids)
    # what makes the comparison worth something
    assert {row["outcome"] for row in rows} == {"completed", "failed", "abandoned"}
    assert any(row["resend_count"] for row in rows)
    assert any(row["stream"] for row in rows)


def _export(folder: Path, endpoint: str) -> None:
    """Sends all spans again, as after an outage of the collector."""
    command = "from tachograph.cli import main; main()"
    db = ("--db", "sqlite:///tachograph-demo.db")
    subprocess.run(
        [sys.executable, "-c", command, "export", "spans", "--since", "1h", *db],
        cwd=folder,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        check=True,
        timeout=120,
    )


def _compare(row: Row, span: Span, by_span: dict[str, Row]) -> None:
    said = tags(span)
    assert (span["traceID"], span["spanID"]) == (row["trace_id"], row["span_id"])
    assert row["trace_sampled"] is True
    linked = references(span)
    assert linked.get("CHILD_OF") == row["parent_span_id"]
    if row["resend_count"]:
        before = by_span[linked["FOLLOWS_FROM"]]
        assert before["operation_id"] == row["operation_id"]
        assert before["resend_count"] == row["resend_count"] - 1
        assert said["http.request.resend_count"] == row["resend_count"]
    assert span["startTime"] == _microseconds(row["started_at"])
    assert span["duration"] == round(row["latency_seconds"] * 1e6)
    assert span["operationName"] == f"chat {row['request_model']}"
    assert said["openrouter.outcome"] == row["outcome"]
    assert said.get("error", False) is (row["error_type"] is not None)
    for attribute, column in (
        ("error.type", "error_type"),
        ("http.response.status_code", "http_status"),
        ("openrouter.provider", "provider"),
        ("openrouter.generation_id", "generation_id"),
        ("openrouter.attempt", "attempt"),
        ("openrouter.cost_source", "cost_source"),
        ("gen_ai.response.model", "response_model"),
        ("gen_ai.usage.input_tokens", "input_tokens"),
        ("gen_ai.usage.output_tokens", "output_tokens"),
        ("gen_ai.usage.cache_read.input_tokens", "cache_read_input_tokens"),
        ("gen_ai.conversation.id", "session_id"),
    ):
        assert said.get(attribute) == row[column], attribute
    cost = None if row["spent_usd"] is None else float(row["spent_usd"])
    assert said.get("openrouter.cost") == said.get("gen_ai.usage.cost") == cost
    first_tokens = [
        log["timestamp"] for log in span["logs"] if _event(log) == "openrouter.first_token"
    ]
    assert len(first_tokens) == (row["first_token_seconds"] is not None)


def _is_below(call: Span, operation: Span, row: Row) -> None:
    assert operation["operationName"] == row["name"]
    assert operation["traceID"] == call["traceID"]
    assert operation["startTime"] <= call["startTime"]
    assert call["startTime"] + call["duration"] <= operation["startTime"] + operation["duration"]


def _event(log: Any) -> str:
    fields = {field["key"]: field["value"] for field in log["fields"]}
    name: str = fields.get("event", "")
    return name


def _microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond
