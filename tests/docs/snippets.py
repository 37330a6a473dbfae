"""The pieces of a page that a reader would copy: found, and run one after the other.

`python` and `console` blocks are run, in one folder and one namespace a page; other blocks are
only shown. In a console block a line with `$ ` is a command and what follows is its answer, where
`...` stands for anything. A comment right before a block changes that:

    <!-- not run: REASON -->      it is not run
    <!-- numbers vary -->         its answer is compared without digits
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPENROUTER = "https://openrouter.ai/api/v1"
RUN = ("python", "console")

_BLOCK = re.compile(
    r"^(?:<!-- (?P<marker>.*?) -->\n\n?)?^```(?P<language>\S*)\n(?P<code>.*?)^```$", re.M | re.S
)
_LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Snippet:
    """A block of a page, and where it begins."""

    page: Path
    line: int
    language: str
    code: str
    marker: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def snippets(page: Path) -> Iterator[Snippet]:
    """The blocks of a page that are to be run, in order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        marker = found["marker"] or ""
        language = found["language"]
        if marker.startswith("not run: "):
            continue
        assert language not in ("sh", "bash", "shell", "py"), f"{page}: write python or console"
        if language in RUN:
            line = text.count("\n", 0, found.start("code")) + 1
            yield Snippet(page, line, language, found["code"], marker)


def run_python(snippet: Snippet, base_url: str, names: dict[str, Any]) -> None:
    """Executes it, against the stand-in where it names OpenRouter; `await` works at its top."""
    code = "\n" * (snippet.line - 1) + snippet.code.replace(OPENROUTER, base_url)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, str(snippet.page), "exec", flags=flags)
    result = eval(compiled, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def run_console(snippet: Snippet, folder: Path, environment: Mapping[str, str]) -> None:
    """Runs its commands; each must succeed and answer what the page says."""
    for command, expected in _commands(snippet.code):
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{snippet.place}: $ {command}\n{done.stderr}"
        want, got = expected, done.stdout
        if snippet.marker == "numbers vary":
            want, got = _without_digits(want), _without_digits(got)
        if expected and not doctest.OutputChecker().check_output(want, got, _LOOSELY):
            raise AssertionError(
                f"{snippet.place}: $ {command}\nanswers\n{done.stdout}\nnot\n{expected}"
            )


def _commands(code: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", code, flags=re.M)[1:]:
        command, _, answer = part.replace("\\\n", "").partition("\n")
        yield command, answer


def _without_digits(text: str) -> str:
    return re.sub(r"[\d.,]*\d", "0", text)
