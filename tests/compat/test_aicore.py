"""AiCore's notebooks on recorded calls: its columns, its filters, and nothing made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tachograph import Recorder, StoreError
from tachograph.compat.aicore import LlmOperationCollector
from tachograph.httpx import RecordingTransport
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.schema import calls
from tachograph.testing import Chat, FakeOpenRouter
from tachograph.testing.chat import usage
from tests.analytics.rows import row

COLUMNS = [
    "session_id",
    "workspace",
    "agent_id",
    "action_id",
    "operation_id",
    "timestamp",
    "system_prompt",
    "user_prompt",
    "response",
    "assistant_message",
    "history_messages",
    "completion_args",
    "error_message",
    "operation_type",
    "provider",
    "model",
    "success",
    "temperature",
    "max_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "total_tokens",
    "cost",
    "latency_ms",
    "extras",
]
TEXTS = {"timestamp", "extras", *COLUMNS[:16]}
ASKED = {
    "model": "openai/gpt-5-mini",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
    ],
    "temperature": 0.25,
    "max_tokens": 64,
}
Fill = Callable[..., str]


@pytest.fixture(params=["sqlite", "postgresql"])
def fill(request: pytest.FixtureRequest, tmp_path: Path) -> Fill:
    """Put these calls into a database; gives its URL."""

    def filled(*rows: dict[str, Any]) -> str:
        url = f"sqlite:///{tmp_path}/calls.db"
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres_url")
        engine = open_engine(url)
        upgrade(engine)
        if rows:
            with engine.begin() as connection:
                connection.execute(calls.insert(), list(rows))
        engine.dispose()
        return url

    return filled


def operation(after: float = 0, **values: Any) -> dict[str, Any]:
    return row(after, operation_name="chat", **values)


def found(url: str, **filters: Any) -> set[str]:
    """The names, which stand for the calls, of those that are found."""
    frame = LlmOperationCollector.polars_from_db(db=url, **filters)
    return set(frame["model"])


def test_an_empty_database_has_all_columns_in_order(fill: Fill) -> None:
    frame = LlmOperationCollector.polars_from_db(provider="openrouter", db=fill())
    assert frame.columns == COLUMNS
    assert frame.is_empty()
    kinds = dict(frame.schema)
    assert {name for name, kind in kinds.items() if kind == pl.String} == TEXTS
    assert kinds["success"] == pl.Boolean
    assert kinds["cost"] == kinds["latency_ms"] == kinds["temperature"] == pl.Float64
    assert all(kinds[name] == pl.Int64 for name in COLUMNS if name.endswith("_tokens"))


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    """The URL of a database with one recorded call, tagged, its content kept, and a failed one."""
    url = f"sqlite:///{tmp_path}/calls.db"
    with (
        FakeOpenRouter() as server,
        Recorder(url, base_urls=[server.base_url], capture_content="full") as recorder,
        httpx.Client(base_url=server.base_url, transport=RecordingTransport(recorder)) as client,
    ):
        client.get("/models")
        tags = {"agent": "planner", "action": "plan", "workspace": "w-1", "team": "search"}
        with recorder.operation("greet", session="s-1", tags=tags):
            paid = usage(9, 2, prompt_usd=Decimal("0.25"), completion_usd=Decimal("0.5"))
            server.script(Chat("Hi there.", usage=paid).stream())
            client.post("/chat/completions", json={**ASKED, "stream": True}).read()
        client.post("/chat/completions", json={"model": "openai/gpt-5-mini"}, headers={})
    return url


def test_recorded_calls(recorded: str) -> None:
    frame = LlmOperationCollector.polars_from_db("planner", "plan", "s-1", "w-1", db=recorded)
    (call,) = frame.to_dicts()
    same = {
        "session_id": "s-1",
        "workspace": "w-1",
        "agent_id": "planner",
        "action_id": "plan",
        "system_prompt": "Be brief.",
        "user_prompt": "Hello",
        "response": "Hi there.",
        "assistant_message": None,
        "history_messages": "[]",
        "error_message": None,
        "operation_type": "completion",
        "provider": "openrouter",
        "model": "openai/gpt-5-mini",
        "success": True,
        "temperature": 0.25,
        "max_tokens": 64,
        "extras": '{"team":"search"}',
    }
    assert {name: call[name] for name in same} == same
    assert json.loads(call["completion_args"]) == {**ASKED, "stream": True}
    tokens = ("input_tokens", "output_tokens", "cached_tokens", "total_tokens")
    assert [call[name] for name in tokens] == [9, 2, 0, 11]
    assert call["cost"] == 0.75
    assert call["latency_ms"] > 0
    assert pl.Series([call["timestamp"]]).str.to_datetime().dtype == pl.Datetime("us")


def test_a_recorder_at_work_has_what_was_recorded_until_now(tmp_path: Path) -> None:
    with (
        FakeOpenRouter() as server,
        Recorder(f"sqlite:///{tmp_path}/calls.db", base_urls=[server.base_url]) as recorder,
        httpx.Client(transport=RecordingTransport(recorder)) as client,
    ):
        client.post(f"{server.base_url}/chat/completions", json=ASKED)
        (call,) = LlmOperationCollector.polars_from_db(db=recorder).to_dicts()
    assert call["model"] == ASKED["model"]
    kept = ("system_prompt", "user_prompt", "response", "history_messages", "completion_args")
    assert [call[name] for name in kept] == [None] * 5


def test_a_list_of_models_is_no_operation_and_nothing_is_made_up(recorded: str) -> None:
    newest, oldest = LlmOperationCollector.polars_from_db(db=recorded).to_dicts()
    assert oldest["session_id"] == "s-1"
    unknown = ("session_id", "agent_id", "action_id", "workspace", "temperature", "max_tokens")
    assert [newest[name] for name in unknown] == [None] * 6
    assert newest["extras"] == "{}"


def test_awaited_it_is_the_same(recorded: str) -> None:
    one = LlmOperationCollector.polars_from_db(session_id="s-1", db=recorded)
    assert asyncio.run(LlmOperationCollector.apolars_from_db(session_id="s-1", db=recorded)).equals(
        one
    )


def test_the_database_is_that_of_the_environment(
    recorded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_DB", recorded)
    assert LlmOperationCollector.polars_from_db().height == 2
    monkeypatch.setenv("TACHOGRAPH_DB", recorded + ".not")
    with pytest.raises(StoreError, match="there is no database"):
        LlmOperationCollector.polars_from_db()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abcd"),
        ({"provider": "openrouter"}, "abcd"),
        ({"provider": "openai"}, ""),
        ({"agent_id": "one"}, "ab"),
        ({"action_id": "plan"}, "b"),
        ({"workspace": "w"}, "c"),
        ({"session_id": "s"}, "a"),
        ({"session_id": "", "agent_id": None}, "abcd"),
        ({"operation_type": "completion"}, "ab"),
        ({"operation_type": "acompletion"}, "ab"),
        ({"operation_type": "acompletion.tool_call"}, "c"),
        ({"operation_type": "embeddings"}, "d"),
        ({"min_tokens": 30}, "bc"),
        ({"max_tokens": 30}, "ab"),
        ({"min_tokens": 0}, "abc"),
        ({"min_latency": 570}, "bc"),
        ({"max_latency": 570}, "ab"),
        ({"min_latency": 500, "max_latency": 600}, "b"),
        ({"start_date": "2026-11-01T12:00:01"}, "bcd"),
        ({"end_date": "2026-11-01T12:00:01"}, "ab"),
        ({"start_date": "2026-11-01T13:00:01+01:00", "end_date": "2026-11-01T12:00:02Z"}, "bc"),
        ({"start_date": "2026-11-02"}, "d"),
        ({"end_date": "2026-11-02"}, "abc"),
        ({"agent_id": "one", "min_tokens": 30}, "b"),
    ],
    ids=str,
)
def test_filters(fill: Fill, filters: dict[str, Any], expected: str) -> None:
    url = fill(
        operation(
            0,
            model="a",
            tags='{"agent":"one"}',
            session_id="s",
            total_tokens=10,
            latency_seconds=0.1,
        ),
        operation(
            1,
            model="b",
            tags='{"agent_id":"one","action_id":"plan"}',
            input_tokens=20,
            output_tokens=10,
            latency_seconds=0.57,
        ),
        operation(
            2,
            model="c",
            tags='{"workspace":"w"}',
            finish_reason="tool_calls",
            total_tokens=31,
            latency_seconds=2.0,
        ),
        row(timedelta(days=1), model="d", operation_name="embeddings"),
    )
    assert found(url, **filters) == set(expected)


def test_old_calls_are_there_without_dates_the_newest_first(fill: Fill) -> None:
    url = fill(*(operation(-86_400 * days, model=str(days)) for days in (100, 0, 10)))
    assert list(LlmOperationCollector.polars_from_db(db=url)["model"]) == ["0", "10", "100"]


def test_units(fill: Fill) -> None:
    url = fill(operation(latency_seconds=0.57, spent_picousd=Decimal("0.000000000001")))
    (call,) = LlmOperationCollector.polars_from_db(db=url).to_dicts()
    assert (call["latency_ms"], call["cost"]) == (570.0, 1e-12)
    assert call["timestamp"] == "2026-11-01T12:00:00.000000"
    assert call["success"] is True
