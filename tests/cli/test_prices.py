"""`tachograph prices` against a stand-in for OpenRouter and a real SQLite file."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from tachograph.cli.prices import app
from tachograph.errors import TachographError
from tachograph.store.database import open_engine
from tachograph.store.migrate import ensure
from tachograph.store.schema import calls
from tachograph.testing import Answer, FakeOpenRouter
from tests.stored import NOON, store

BUSY = Answer.json({"error": {}}, status=503, headers={"Retry-After": "0"})


@pytest.fixture
def db(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/calls.db"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.exception or result.stderr
    return result.stdout


def failed(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, TachographError), result.output
    return str(result.exception)


def listing(*models: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    return {"data": list(models), **envelope}


def model(name: str, prompt: str = "0.000001", **others: Any) -> dict[str, Any]:
    return {"id": name, "pricing": {"prompt": prompt, "completion": "0.000002"}, **others}


def history(db: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(done("history", name, "--db", db, "--format", "json"))
    return rows


def test_sync_reads_the_listing_and_says_what_changed(
    db: str, fake_openrouter: FakeOpenRouter
) -> None:
    sync = ("sync", "--db", db, "--base-url", fake_openrouter.base_url)
    first = done(*sync)
    assert "0 changed, 0 unchanged, 0 gone" in first
    assert ": 0 new, 0 changed" in done(*sync)
    fake_openrouter.script(
        Answer.json(listing(model("a/b", "0.000003"), model("c/d"), total_count=2))
    )
    assert "2 new" in done(*sync)
    fake_openrouter.script(Answer.json(listing(model("a/b", "0.0000045"), total_count=1)))
    third = done(*sync)
    assert "0 new, 1 changed, 0 unchanged, 1 gone" in third
    assert "changed  a/b: prompt 3/M -> 4.5/M" in third
    assert "gone     c/d" in third
    assert [row["prompt_usd"] for row in history(db, "a/b")] == ["0.000003", "0.0000045"]
    assert all("authorization" not in request.headers for request in fake_openrouter.requests)


def test_sync_follows_the_pages(db: str, fake_openrouter: FakeOpenRouter) -> None:
    after = {"next": "/api/v1/models?offset=1"}
    fake_openrouter.script(
        Answer.json(listing(model("a/b"), total_count=2, links=after)),
        Answer.json(listing(model("c/d"), total_count=2, links={"next": None})),
    )
    assert "2 models of http" in done(
        "sync", "--db", db, "--base-url", fake_openrouter.base_url + "/"
    )
    asked = [(request.path, request.query) for request in fake_openrouter.requests]
    assert asked == [("/api/v1/models", ""), ("/api/v1/models", "offset=1")]


def test_sync_does_not_go_round_in_circles_nor_elsewhere(
    db: str, fake_openrouter: FakeOpenRouter
) -> None:
    sync = ("sync", "--db", db, "--base-url", fake_openrouter.base_url)
    itself = {"next": "/api/v1/models"}
    fake_openrouter.script(Answer.json(listing(model("a/b"), total_count=9, links=itself)))
    done(*sync)
    elsewhere = {"next": "http://192.0.2.1/models"}
    fake_openrouter.script(Answer.json(listing(model("a/b"), total_count=9, links=elsewhere)))
    assert "another host" in failed(*sync)
    assert len(fake_openrouter.requests) == 2


def test_an_entry_that_is_not_understood_is_named_and_its_price_stays(
    db: str, fake_openrouter: FakeOpenRouter
) -> None:
    sync = ("sync", "--db", db, "--base-url", fake_openrouter.base_url)
    fake_openrouter.script(
        Answer.json(listing(model("a/b"), model("c/d"), total_count=2)),
        Answer.json(listing(model("a/b"), model("c/d", "cheap"), total_count=2)),
    )
    done(*sync)
    result = run(*sync)
    assert "0 new, 0 changed, 1 unchanged, 0 gone" in result.stdout
    assert result.stderr.startswith("left out: c/d: ")
    assert history(db, "c/d")[0]["valid_until_at"] is None


def test_endpoints(db: str, fake_openrouter: FakeOpenRouter) -> None:
    out = done("sync", "--db", db, "--base-url", fake_openrouter.base_url, "--endpoints")
    assert "endpoints of" in out
    asked = {request.path for request in fake_openrouter.requests}
    assert "/api/v1/models/openrouter/auto/endpoints" not in asked, "a router has none"
    fake_openrouter.script(
        Answer.json(listing(model("a/b"), model("no/where"), total_count=2)),
        Answer.json(
            {
                "data": {
                    "id": "a/b",
                    "endpoints": [
                        {"provider_name": "X", "tag": "x/fast", "pricing": {"prompt": "0.000007"}}
                    ],
                }
            }
        ),
    )
    result = run("sync", "--db", db, "--base-url", fake_openrouter.base_url, "--endpoints")
    assert "1 endpoints of 1 models: 1 new" in result.stdout
    assert "left out: no/where: http" in result.stderr
    assert [(row["endpoint_tag"], row["prompt_usd"]) for row in history(db, "a/b")] == [
        (None, "0.000001"),
        ("x/fast", "0.000007"),
    ]


def test_since_prices_the_calls_of_before(db: str, tmp_path: Path) -> None:
    engine = open_engine(db)
    ensure(engine)
    store(engine, {"request_model": "a/b", "input_tokens": 1000, "output_tokens": 1})
    file = tmp_path / "models.json"
    file.write_text(json.dumps(listing(model("a/b"))))
    out = done("sync", "--db", db, "--from", str(file), "--since", "2026-01-01")
    assert "1 calls that had no computed cost have one now" in out
    with engine.connect() as connection:
        (computed,) = connection.execute(sa.select(calls.c.computed_picousd)).scalars()
    engine.dispose()
    assert str(computed) == "0.001002000000"
    assert history(db, "a/b")[0]["valid_from_at"] == "2026-01-01T00:00:00Z"


def test_an_excerpt_from_a_file_closes_nothing(db: str, tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    for models, total, gone in (
        ([model("a/b"), model("c/d")], 2, 0),
        ([model("a/b")], 2, 0),
        ([model("a/b")], None, 0),
        ([model("a/b")], 1, 1),
    ):
        file.write_text(json.dumps(listing(*models, total_count=total)))
        assert f"{gone} gone" in done("sync", "--db", db, "--from", str(file))


def test_import_takes_old_answers_of_both_kinds(db: str, tmp_path: Path) -> None:
    old, older, endpoints = (tmp_path / f"{name}.json" for name in ("old", "older", "endpoints"))
    old.write_text(json.dumps(listing(model("a/b", "0.000002"))))
    older.write_text(json.dumps(listing(model("a/b", "0.000001"))))
    endpoints.write_text(
        json.dumps(
            {
                "data": {
                    "id": "a/b",
                    "endpoints": [{"provider_name": "X", "tag": "x", "pricing": {"prompt": "1"}}],
                }
            }
        )
    )
    changed = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    os.utime(old, (changed, changed))
    assert "saved 2026-03-01 00:00 UTC: 1 prices: 1 new" in done("import", "--db", db, str(old))
    done("import", "--db", db, "--at", "2026-02-01", str(older), str(endpoints))
    spans = [
        (row["endpoint_tag"], row["valid_from_at"], row["valid_until_at"])
        for row in history(db, "a/b")
    ]
    assert spans == [
        (None, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        (None, "2026-03-01T00:00:00Z", None),
        ("x", "2026-02-01T00:00:00Z", None),
    ]


def test_history_as_people_read_it(db: str, tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    entry = model("a/b", canonical_slug="a/b-2026")
    entry["pricing"]["web_search"] = "0.01"
    entry["pricing"]["overrides"] = [
        {"min_prompt_tokens": 200000, "prompt": "0.000002"},
        {"utc_start": 1630, "utc_end": 30, "utc_days": ["monday"], "completion": "0"},
    ]
    file.write_text(json.dumps(listing(entry)))
    done("sync", "--db", db, "--from", str(file), "--since", NOON.isoformat())
    table = done("history", "a/b-2026", "--db", db)
    assert table.splitlines()[0].strip() == "a/b"
    for text in (
        "2026-11-01 12:00:00",
        "over 200,000 tokens: prompt 2/M",
        "1630 to 0030 UTC and monday: completion 0/M",
    ):
        assert text in table
    assert "audio" not in table, "columns without a price are left out"
    assert history(db, "a/b")[0]["prompt_usd"] == "0.000001"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (BUSY, "answered 503"),
        (Answer.json({"data": 3}), "not an answer of /models"),
    ],
)
def test_a_failed_sync_says_why_and_keeps_what_is_known(
    db: str, fake_openrouter: FakeOpenRouter, answer: Answer, message: str
) -> None:
    sync = ("sync", "--db", db, "--base-url", fake_openrouter.base_url)
    fake_openrouter.script(Answer.json(listing(model("a/b"), total_count=1)), *[answer] * 5)
    done(*sync)
    assert message in failed(*sync)
    assert history(db, "a/b")[0]["valid_until_at"] is None


def test_a_busy_server_is_asked_again_and_that_is_said(
    db: str, fake_openrouter: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    answers = [
        Answer.json({}, status=429, headers={"Retry-After": "3"}),
        Answer.json({}, status=502),
        Answer.json({}, status=529, headers={"retry-after-ms": "9000000"}),
        Answer.json(listing(model("a/b"), total_count=1)),
    ]
    fake_openrouter.script(*answers)
    result = run("sync", "--db", db, "--base-url", fake_openrouter.base_url)
    assert result.exit_code == 0
    assert result.stdout.startswith("1 models")
    assert waited == [3, 1, 60]
    said = " ".join(result.stderr.split())
    assert "/models answered 429 Too Many Requests: asked again in 3 s" in said
    assert "asked again in 60 s" in said


def test_a_server_that_stays_busy_is_not_waited_for_again_and_again(
    db: str, fake_openrouter: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    models = [model(f"a/{number}") for number in range(9)]
    listed = Answer.json(listing(*models, total_count=9))
    fake_openrouter.script(listed, *[Answer.json({}, status=500)] * 13)
    sync = ("sync", "--db", db, "--base-url", fake_openrouter.base_url, "--endpoints")
    assert "no endpoints could be read" in failed(*sync)
    assert waited == [0.5, 1, 2, 4]


def test_what_cannot_be_asked_is_said(db: str, tmp_path: Path) -> None:
    assert "no base URL" in failed("sync", "--db", db, "--base-url", "openrouter.ai")
    file = tmp_path / "models.json"
    file.write_text("<html>")
    assert "models.json: not an answer" in failed("sync", "--db", db, "--from", str(file))
    assert "models.json: not an answer" in failed("import", "--db", db, str(file))
    assert "no price of a/b is known" in failed("history", "a/b", "--db", db)
    both = run("sync", "--db", db, "--from", str(file), "--endpoints")
    assert both.exit_code == 2
    assert run("import", "--db", db, str(tmp_path / "none.json")).exit_code == 2
