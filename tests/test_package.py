"""The wheel, built from this tree and installed elsewhere, is all that a user needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.required import missing

ROOT = Path(__file__).parents[1]
UNREACHABLE = ("Failed to establish a new connection", "Temporary failure in name resolution")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment into which the wheel was installed by pip."""
    folder = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    pip = [str(folder / "env/bin/python"), "-m", "pip", "install", "--retries=1", "--timeout=15"]
    done = subprocess.run(
        [*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)],
        capture_output=True,
        text=True,
    )
    if any(words in done.stdout + done.stderr for words in UNREACHABLE):
        missing("no package index could be reached")
    assert done.returncode == 0, done.stderr
    return folder / "env/bin"


def tachograph(installed: Path, folder: Path, *arguments: str) -> str:
    """Standard output of a command that a user runs in a folder of their own."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [installed / "tachograph", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_wheel_holds(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"tachograph", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    for shipped in (ROOT / "migrations").rglob("*.py"):
        assert f"tachograph/{shipped.relative_to(ROOT)}" in names
    assert "tachograph/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_it_migrates(installed: Path, tmp_path: Path) -> None:
    assert "upgraded" in tachograph(installed, tmp_path, "db", "upgrade")
    assert (tmp_path / "tachograph.db").exists()
    assert "the one that is needed" in tachograph(installed, tmp_path, "db", "check")


def test_it_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    assert "stand-in" in tachograph(installed, tmp_path, "demo")
    assert (tmp_path / "tachograph-demo.db").exists()
    tachograph(installed, tmp_path, "demo")
