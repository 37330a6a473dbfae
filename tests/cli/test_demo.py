"""`tachograph demo`: the whole product over a real socket, as a newcomer first meets it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tachograph.cli import demo
from tachograph.demo import apps
from tachograph.errors import SettingsError
from tachograph.testing import FakeOpenRouter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    return run(folder)


def run(folder: Path) -> str:
    command = [sys.executable, "-c", "from tachograph.cli import main; main()", "demo"]
    ran = subprocess.run(
        [*command, "--calls", "60"], cwd=folder, capture_output=True, text=True, check=True
    )
    return ran.stdout


def ask(folder: Path, query: str) -> list[Any]:
    """The first column of the answer."""
    connection = sqlite3.connect(folder / demo.FILE)
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()


def test_it_records_reports_and_says_how_to_go_on(folder: Path, said: str) -> None:
    assert "no money is spent" in said
    assert "anthropic/claude-haiku-4.5" in said
    assert "Amazon Bedrock" in said
    assert "equal to the last digit" in said
    assert f"tachograph report models --db sqlite:///{demo.FILE}" in said
    outcomes = ask(folder, "SELECT outcome FROM calls")
    assert set(outcomes) == {"completed", "failed", "abandoned"}
    assert f"{len(outcomes)} calls recorded" in said
    sdks = {sdk.split("/")[0] for sdk in ask(folder, "SELECT DISTINCT sdk FROM calls")}
    assert sdks == {"httpx", "openai"}
    assert {file.name for file in folder.iterdir()} == {demo.FILE.name, f"{demo.FILE}.journal"}
    assert max(ask(folder, "SELECT resend_count FROM calls")) > 0
    assert not ask(folder, "SELECT id FROM calls WHERE billed_picousd <> computed_picousd")


def test_a_second_run_starts_anew(folder: Path, said: str) -> None:
    first = set(ask(folder, "SELECT id FROM calls"))
    run(folder)
    second = set(ask(folder, "SELECT id FROM calls"))
    assert second
    assert not first & second


def test_without_openai_httpx_sends_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(apps, "find_spec", lambda name: None)
    demo.demo(calls=20)
    assert "The openai SDK is not installed" in capsys.readouterr().out
    assert ask(tmp_path, "SELECT DISTINCT sdk LIKE 'httpx/%' FROM calls") == [1]


def test_live_asks_free_models_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeOpenRouter() as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-live")
        demo.demo(live=True)
    asked = [request for request in server.requests if request.method == "POST"]
    assert {request.headers["authorization"] for request in asked} == {"Bearer sk-or-v1-live"}
    assert [request.json()["stream"] for request in asked] == [False, True] * (len(asked) // 2)
    assert all(request.json()["model"].endswith(":free") for request in asked)
    assert ask(tmp_path, "SELECT outcome FROM calls") == ["completed"] * len(asked)
    assert f"{len(asked)} requests go to free models" in capsys.readouterr().out


def test_live_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="OPENROUTER_API_KEY"):
        demo.demo(live=True)


def test_it_does_not_run_where_recording_is_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TACHOGRAPH_DISABLED", "1")
    with pytest.raises(SettingsError, match="TACHOGRAPH_DISABLED"):
        demo.demo(calls=1)
