"""The entry point: quick, and never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tachograph
from tachograph import cli
from tachograph.cli import commands


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from tachograph.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_command_without_loading_a_heavy_library() -> None:
    probe = (
        "import sys; from tachograph.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'polars', 'sqlalchemy', 'opentelemetry', 'httpx', 'openai'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in commands.COMMANDS:
        assert name in done.stdout


def test_version() -> None:
    done = run("--version")
    assert done.stdout == f"tachograph {tachograph.__version__}\n"
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [("nonsense",), ("--nonsense",)])
def test_bad_usage_is_status_2_on_stderr(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nonsense" in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (tachograph.StoreError("no such file:\n  x.db"), "tachograph: no such file: x.db\n"),
        (FileNotFoundError(2, "No such file", "x.csv"), "tachograph: No such file: x.csv\n"),
        (KeyError("k"), "tachograph: unexpected KeyError: 'k' (--traceback shows where)\n"),
    ],
)
def test_an_error_is_one_line_and_status_1(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", line)


def test_traceback_is_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("k")

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(sys, "argv", ["tachograph", "--traceback"])
    with pytest.raises(KeyError):
        cli.main()


def test_a_reader_that_goes_away_is_no_error(db: str) -> None:
    """As in `tachograph sql ... | head`."""
    code = "from tachograph.cli import main; main()"
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    query = f"{numbers} SELECT x FROM n LIMIT 100000"
    with subprocess.Popen(
        [sys.executable, "-c", code, "sql", query, "--db", db, "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == b"x\n"
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(60) == 1


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_each_command_is_there(name: str) -> None:
    assert commands.load(name).name == name


def test_a_misspelt_setting_is_refused_by_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TACHOGRAPH_BASE_URL", "https://llm.example.com")
    monkeypatch.setattr("sys.argv", ["tachograph", "status"])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert "did you mean TACHOGRAPH_BASE_URLS?" in capsys.readouterr().err
