"""`tachograph reconcile` against a stand-in for OpenRouter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tachograph.analytics.audit import cost_audit
from tachograph.analytics.frames import read_calls
from tachograph.cli.reconcile import _is_asked_there, reconcile
from tachograph.errors import TachographError
from tachograph.store.reconciliations import Unreconciled
from tachograph.store.writing import writing
from tachograph.testing import Answer, FakeOpenRouter, Request
from tests.stored import store

app = typer.Typer()
app.command()(reconcile)

KEY = "sk-or-v1-" + "a" * 64


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)


@pytest.fixture
def db(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/calls.db"


def left_early(server: FakeOpenRouter, generation_id: str, **others: Any) -> dict[str, Any]:
    return {
        "outcome": "abandoned",
        "host": server.base_url.split("/")[2],
        "generation_id": generation_id,
        **others,
    }


def run(db: str, server: FakeOpenRouter, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--db", db, "--base-url", server.base_url, *arguments])


def knowing(*known: str) -> Callable[[Request, Answer], Answer]:
    def respond(request: Request, usual: Answer) -> Answer:
        generation_id = request.query.removeprefix("id=")
        if request.path != "/api/v1/generation" or generation_id not in known:
            return Answer.json({"error": {"code": 404}}, status=404)
        return Answer.json({"data": {"id": generation_id, "total_cost": 0.25}})

    return respond


def test_found_absent_and_too_early(db: str) -> None:
    with FakeOpenRouter(knowing("gen-1")) as server, writing(db) as engine:
        store(
            engine,
            left_early(server, "gen-1"),
            left_early(server, "gen-2"),
            left_early(server, "gen-3", started_at=datetime.now(UTC)),
            left_early(server, "gen-4", host="elsewhere.example"),
        )
        first = run(db, server)
        assert first.exit_code == 0, first.exception
        assert first.stdout.splitlines() == [
            "3 calls without a bill: 1 found and filled in",
            "  1 are not known there: not asked for again",
            "  1 may be there later: ask again in ten minutes",
            "  1 went to another host, which was not asked",
        ]
        assert [request.headers["authorization"] for request in server.requests] == [
            f"Bearer {KEY}"
        ] * 3
        assert run(db, server).stdout.startswith("1 calls without a bill: 0 found")
        assert run(db, server, "--again").stdout.startswith("2 calls without a bill: 0 found")
        assert run(db, server, "--since", "2h", "--again").stdout.startswith("1 calls")
    frame = read_calls(db)
    assert frame["cost_source"][0] == "reconciled"
    audit = cost_audit(frame, db)
    assert [str(usd) for usd in audit["generation_usd"]] == ["0.250000000000"]


@pytest.mark.parametrize(
    ("base_url", "host", "asked"),
    [
        ("https://llm.example.com:443/v1", "llm.example.com", True),
        ("https://llm.example.com/v1", "llm.example.com:8443", False),
        ("https://bücher.example/v1", "xn--bcher-kva.example", True),
        ("http://[::1]:81/v1", "[::1]:81", True),
        ("https://openrouter.ai/api/v1", "eu.openrouter.ai", True),
        ("https://openrouter.ai/api/v1", "llm.example.com", False),
    ],
)
def test_only_the_host_of_a_call_is_asked_for_its_bill(
    base_url: str, host: str, asked: bool
) -> None:
    assert _is_asked_there(Unreconciled(b"", "gen-1", host, 0), base_url) == asked


def test_a_busy_server_is_asked_again(db: str, fake_openrouter: FakeOpenRouter) -> None:
    busy = Answer.json({"error": {}}, status=429, headers={"Retry-After": "0"})
    fake_openrouter.script(busy, busy, knowing("gen-1"))
    with writing(db) as engine:
        store(engine, left_early(fake_openrouter, "gen-1"))
    assert run(db, fake_openrouter).stdout.startswith("1 calls without a bill: 1 found")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([Answer.json({}, status=401)], "401 Unauthorized: is OPENROUTER_API_KEY right?"),
        ([Answer.json({}, status=400)], "answered 400"),
        ([Answer.json({}, status=503, headers={"Retry-After": "0"})] * 5, "answered 503"),
        ([Answer.json({"data": 3})], "not an answer of /generation"),
    ],
)
def test_a_failure_says_why_and_marks_nothing(
    db: str, fake_openrouter: FakeOpenRouter, answers: list[Answer], message: str
) -> None:
    with writing(db) as engine:
        store(engine, left_early(fake_openrouter, "gen-1"))
    fake_openrouter.script(*answers, knowing("gen-1"))
    failed = run(db, fake_openrouter)
    assert isinstance(failed.exception, TachographError)
    assert message in str(failed.exception)
    assert KEY not in str(failed.exception) + failed.output
    assert run(db, fake_openrouter).stdout.startswith("1 calls without a bill: 1 found")


def test_without_a_key_nothing_is_asked(
    db: str, fake_openrouter: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    failed = run(db, fake_openrouter)
    assert "OPENROUTER_API_KEY is not set" in str(failed.exception)
    assert fake_openrouter.requests == []
