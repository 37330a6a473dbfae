"""Environments with the SDKs, some of which clash: made by pip, kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.required import missing

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tachograph/recipes"

ENVIRONMENTS = {
    "latest": {
        "anthropic": "2.11.0",
        "httpx": "0.28.1",
        "httpx2": "2.16.2",
        "langchain-openai": "1.7.2",
        "openai[aiohttp]": "3.52.0",
        "openrouter": "1.3.84",
        "opentelemetry-distro": "0.66b1",
        "pydantic-ai-slim[openai,openrouter]": "2.68.0",
    },
    "openai-2": {"litellm": "1.104.5", "openai[aiohttp]": "2.54.0"},
    "instrumentations": {
        "langfuse": "5.0.4",
        "logfire": "5.2.0",
        "openai": "3.52.0",
        "openinference-instrumentation-openai": "0.1.66",
        "opentelemetry-instrumentation-openai": "0.62.4",
    },
    # each holds a package down that is newer in the first
    "bounded": {"instructor": "1.17.0", "langchain-openrouter": "0.2.9"},
}
"""By name, the packages that are installed beside tachograph, as few environments as they allow."""

THIS_CHECKOUT = {"PYTHONPATH": str(ROOT / "src")}
"""Variables for programs in an environment, which may have been made for another checkout."""

_UNREACHABLE = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Network is unreachable",
)


def python_of(name: str) -> Path:
    """The Python of an environment, made now where there is none yet and all is required: that
    takes minutes and a gigabyte, which nobody asks for who only wants to run the tests."""
    folder = CACHE / name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [f"{package}=={version}" for package, version in ENVIRONMENTS[name].items()]
    wanted = "\n".join([sys.version, *requirements, *project["dependencies"]])
    made_of = folder / "made-of.txt"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made_of.exists() or made_of.read_text() != wanted:
            if os.environ.get("TACHOGRAPH_REQUIRE_ALL") != "1":
                missing("the SDKs' environments (1.5 GB) are made with TACHOGRAPH_REQUIRE_ALL=1")
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, requirements)
            made_of.write_text(wanted)
    return folder / "bin/python"


def _make(folder: Path, requirements: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [
        "nice",
        str(folder / "bin/python"),
        "-m",
        "pip",
        "install",
        "--retries=1",
        "--timeout=15",
    ]
    done = subprocess.run(
        [*pip, "--no-compile", "--editable", str(ROOT), *requirements],
        capture_output=True,
        text=True,
    )
    if any(words in done.stdout + done.stderr for words in _UNREACHABLE):
        missing("no package index could be reached")
    assert done.returncode == 0, done.stderr
