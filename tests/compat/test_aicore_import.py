"""`tachograph import aicore`: what AiCore had recorded, once, and no surer than it was."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tachograph import cli
from tachograph.analytics import read_calls, scan_content
from tachograph.compat.aicore import LlmOperationCollector
from tachograph.core.records import Price
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.price_history import record_prices
from tests.compat.aicore import ARGS, KEY, aicore_database, operate


def prepare(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()


class Target:
    """A database of ours, and the command that fills it."""

    def __init__(
        self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.url = url
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def fill(self, source: str, *options: str, status: int = 0) -> str:
        """What the command wrote to standard output, or to standard error if it must fail."""
        arguments = ["tachograph", "import", "aicore", source, "--db", self.url, *options]
        self._monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        written = self._capsys.readouterr()
        assert (ended.value.code or 0) == status, written.err
        return written.err if status else written.out

    def calls(self) -> list[dict[str, Any]]:
        return read_calls(self.url).to_dicts()


@pytest.fixture
def target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Target:
    return Target(f"sqlite:///{tmp_path}/calls.db", monkeypatch, capsys)


@pytest.fixture
def one(tmp_path: Path) -> str:
    """An AiCore file to put operations into."""
    return aicore_database(f"sqlite:///{tmp_path}/aicore.db")


def test_an_operation_becomes_a_call(aicore: str, target: Target) -> None:
    operate(aicore, "01A")
    assert target.fill(aicore) == "1 operations read, 1 calls added\n"
    (call,) = target.calls()
    told = {
        "session_id": "s-1",
        "tags": '{"project":"search","agent":"planner","action":"plan","workspace":"w-1"}',
        "host": "openrouter.ai",
        "path": "/chat/completions",
        "operation_name": "chat",
        "request_model": "openai/gpt-5-mini",
        "model": "openai/gpt-5-mini",
        "stream": True,
        "temperature": 0.5,
        "max_tokens": 100,
        "outcome": "completed",
        "latency_seconds": 1.50025,
        # AiCore took the 30 cached ones off the input, and added them to the output
        "input_tokens": 100,
        "output_tokens": 10,
        "cache_read_input_tokens": 30,
        "total_tokens": 110,
        # by its clock when it ended
        "started_at": datetime(2026, 11, 1, 12, 0, 58, 499750, tzinfo=UTC),
    }
    assert {name: call[name] for name in told} == told
    (content,) = scan_content(target.url).collect().to_dicts()
    assert content["call_id"] == call["id"]
    assert json.loads(content["request"]) == ARGS
    assert json.loads(content["answer"])["choices"][0]["message"]["content"] == "2"


def test_again_adds_only_what_is_new(aicore: str, target: Target) -> None:
    for number in range(3):
        operate(aicore, f"01{number}")
    target.fill(aicore)
    first = target.calls()
    operate(aicore, "019", timestamp="2026-11-02T12:00:00")
    assert target.fill(aicore) == ("4 operations read, 1 calls added\n  3 were there already\n")
    assert target.calls()[:3] == first
    assert len(target.calls()) == scan_content(target.url).collect().height == 4


def test_into_postgresql(one: str, postgres_url: str, target: Target) -> None:
    target.url = postgres_url
    prepare(postgres_url)
    operate(one, "01A", user_prompt="nul \0 nul", completion_args="", response="\0")
    for _ in range(2):
        target.fill(one)
    assert [call["computed_usd"] for call in target.calls()] == [Decimal("0.0123")]
    assert scan_content(target.url).collect().height == 1


def test_ids_are_in_the_order_of_time(one: str, target: Target) -> None:
    for number, minute in enumerate((3, 1, 2)):
        operate(one, f"0{number}", timestamp=f"2026-11-01T12:0{minute}:00", latency_ms=0)
    target.fill(one)
    calls = target.calls()
    assert [call["started_at"].minute for call in calls] == [1, 2, 3]
    assert [call["latency_seconds"] for call in calls] == [None] * 3


def test_what_aicore_computed_was_not_billed(one: str, target: Target) -> None:
    operate(one, "01A", cost=0.1 + 0.2)
    operate(one, "01B", cost=0.0)
    assert "  1 have no cost" in target.fill(one)
    known, unknown = sorted(target.calls(), key=lambda call: call["computed_usd"] is None)
    assert (known["billed_usd"], known["price_id"]) == (None, None)
    assert known["computed_usd"] == known["spent_usd"] == Decimal("0.3")
    assert known["cost_source"] == "computed"
    assert json.loads(known["usage_extra"])["aicore"]["cost"] == 0.1 + 0.2
    assert (unknown["computed_usd"], unknown["spent_usd"]) == (None, None)
    assert unknown["cost_source"] == "unknown"


def test_our_own_price_of_that_time_goes_before_aicores_figure(one: str, target: Target) -> None:
    engine = open_engine(target.url)
    upgrade(engine)
    price = Price(
        model="openai/gpt-5-mini",
        valid_from_us=0,
        prompt=Decimal("0.001"),
        completion=Decimal("0.01"),
        input_cache_read=Decimal("0.0001"),
    )
    record_prices(engine, [price], 2**50, "test", valid_from_us=0)
    engine.dispose()
    operate(one, "01A")
    target.fill(one)
    (call,) = target.calls()
    assert call["computed_usd"] == call["spent_usd"] == Decimal("0.173")
    assert call["price_id"] is not None


def test_a_failure_has_no_tokens_of_the_call_before(one: str, target: Target) -> None:
    trace = f'Traceback (most recent call last):\n  File "a.py"\nBadRequest: no {KEY} here'
    operate(one, "01A", success=False, response="", error_message=trace)
    target.fill(one)
    (call,) = target.calls()
    assert call["outcome"] == "failed"
    assert call["error_message"] == "BadRequest: no [redacted] here"
    assert (call["input_tokens"], call["output_tokens"], call["spent_usd"]) == (None, None, None)


def test_aicores_zero_of_cached_tokens_says_nothing(one: str, target: Target) -> None:
    operate(one, "01A", cached_tokens=0)
    target.fill(one)
    (call,) = target.calls()
    counts = ("input_tokens", "output_tokens", "cache_read_input_tokens", "total_tokens")
    assert [call[name] for name in counts] == [70, 40, None, 110]


def test_an_empty_answer_is_no_failure_and_no_tokens_are_unknown(one: str, target: Target) -> None:
    nothing = {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0, "cost": 0.0}
    operate(one, "01A", success=False, response="", **nothing)
    target.fill(one)
    (call,) = target.calls()
    assert call["outcome"] == "completed"
    assert (call["input_tokens"], call["output_tokens"], call["total_tokens"]) == (None,) * 3


def test_odd_values_come_over_as_unknown(aicore: str, target: Target) -> None:
    operate(aicore, "01A", completion_args="[1", extras="none", response=None, cost=-1.0)
    operate(aicore, "01B", operation_type="acompletion.tool_call", response=None, user_prompt=None)
    operate(aicore, "01C", operation_type="acompletion.tool_call", response="{", session_id="")
    infinite = None if aicore.startswith("sqlite") else float("nan")
    operate(aicore, "01D", cost=infinite, latency_ms=None, extras=None, action_id=None)
    assert "4 calls added" in target.fill(aicore)
    costs = {
        json.loads(call["usage_extra"])["aicore"]["operation_id"]: call["spent_usd"]
        for call in target.calls()
    }
    assert costs == {"01A": None, "01B": Decimal("0.0123"), "01C": Decimal("0.0123"), "01D": None}
    frame = LlmOperationCollector.polars_from_db(db=target.url)
    texts = {row["operation_id"]: (row["user_prompt"], row["response"]) for row in frame.to_dicts()}
    assert texts["01A"] == ("And two?", None)
    assert texts["01C"] == ("And two?", '"{"')


def test_what_is_left_is_said(one: str, target: Target) -> None:
    operate(one, "01A", provider="anthropic")
    operate(one, "01B", timestamp="yesterday")
    operate(one, "01C")
    operate(one, "01D", timestamp="0001-01-01", latency_ms=1e300)
    assert target.fill(one) == (
        "4 operations read, 1 calls added\n"
        "  1 of other providers than OpenRouter were left\n"
        "  2 without a time that can be read were left\n"
    )


def test_local_times_and_their_zone(one: str, target: Target) -> None:
    operate(one, "01A", timestamp="2026-07-01T12:00:00", latency_ms=0)
    operate(one, "01B", timestamp="2026-12-01T12:00:00", latency_ms=0)
    target.fill(one, "--time-zone", "Europe/Berlin")
    assert [call["started_at"].hour for call in target.calls()] == [10, 11]
    assert "with another --time-zone" in target.fill(one, status=1)
    assert len(target.calls()) == 2
    assert "is no time zone" in target.fill(one, "--time-zone", "Nowhere", status=2)


def test_no_key_comes_over_and_content_need_not(one: str, target: Target, tmp_path: Path) -> None:
    args = {**ARGS, "messages": [{"role": "user", "content": f"my key is {KEY}"}]}
    operate(one, "01A", completion_args=json.dumps(args), response=KEY, extras=f'{{"k": "{KEY}"}}')
    target.fill(one, "--no-content")
    assert scan_content(target.url).collect().is_empty()
    target.fill(one)
    (content,) = scan_content(target.url).collect().to_dicts()
    assert "my key is [redacted]" in content["request"]
    assert json.loads(content["redacted"]) == {"secrets": 2}
    for file in tmp_path.glob("calls.db*"):
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///{}"])
def test_aicores_own_urls(form: str, tmp_path: Path, target: Target) -> None:
    path = tmp_path / "aicore.db"
    operate(aicore_database(f"sqlite:///{path}"), "01A")
    before = path.read_bytes()
    target.fill(form.format(path))
    assert len(target.calls()) == 1
    assert path.read_bytes() == before


def test_a_database_of_something_else(target: Target, tmp_path: Path) -> None:
    prepare(f"sqlite:///{tmp_path}/other.db")
    said = target.fill(f"sqlite:///{tmp_path}/other.db", status=1)
    assert "no database of AiCore: it has no table Session, Message, Metric" in said
    assert not Path(target.url.removeprefix("sqlite:///")).exists()


def test_notebooks_find_what_aicore_had_recorded(one: str, target: Target) -> None:
    calls = '[{"id": "1", "function": {"name": "look", "arguments": "{}"}, "type": "function"}]'
    operate(one, "01A", operation_type="acompletion.tool_call", response=calls)
    operate(one, "01B", timestamp="2026-11-02T00:00:00", operation_type="completion")
    target.fill(one)
    frame = LlmOperationCollector.polars_from_db(provider="openrouter", db=target.url)
    newest, oldest = frame.to_dicts()
    same = {
        "operation_id": "01B",
        "session_id": "s-1",
        "workspace": "w-1",
        "agent_id": "planner",
        "action_id": "plan",
        "system_prompt": "Be brief.",
        "user_prompt": "And two?",
        "assistant_message": "1",
        "history_messages": '[{"role":"user","content":"One?"}]',
        "response": "2",
        "operation_type": "completion",
        "model": "openai/gpt-5-mini",
        "success": True,
        "temperature": 0.5,
        "max_tokens": 100,
        "total_tokens": 110,
        "cached_tokens": 30,
        "cost": 0.0123,
        "latency_ms": 1500.25,
        "extras": '{"project":"search"}',
    }
    assert {name: newest[name] for name in same} == same
    assert json.loads(newest["completion_args"]) == ARGS
    assert oldest["operation_type"] == "acompletion.tool_call"
    assert json.loads(oldest["response"]) == json.loads(calls)
