"""The runner of the pages' snippets notices what a reader would notice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.snippets import Snippet, run_console, run_python, snippets

PAGE = """
# Page
```python
x = 1
```
<!-- not run: it needs a key -->
```python
raise SystemExit
```
<!-- numbers vary -->
```console
$ echo 17 calls
3 calls
```
```json
{}
```
"""


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_what_is_found(tmp_path: Path) -> None:
    found = list(snippets(page(tmp_path, PAGE)))
    assert [(s.language, s.line, s.code, s.marker) for s in found] == [
        ("python", 4, "x = 1\n", ""),
        ("console", 12, "$ echo 17 calls\n3 calls\n", "numbers vary"),
    ]
    run_console(found[1], tmp_path, os.environ)


@pytest.mark.parametrize(
    "code", ["$ false\n", "$ echo a\nb\n", "$ echo 1\n2\n", "$ printf 'a\\nb\\n'\na\n"]
)
def test_a_wrong_command_or_answer_fails(tmp_path: Path, code: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:3"):
        run_console(Snippet(tmp_path / "page.md", 3, "console", code, ""), tmp_path, os.environ)


@pytest.mark.parametrize("code", ["$ true\n", "$ echo a\n...\n", "$ echo a \\\n  b\na b\n"])
def test_a_right_answer_passes(tmp_path: Path, code: str) -> None:
    run_console(Snippet(tmp_path / "page.md", 3, "console", code, ""), tmp_path, os.environ)


def test_python_is_run_in_one_namespace_with_await_and_at_its_line(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    code = 'import asyncio\nawait asyncio.sleep(0)\nurl = "https://openrouter.ai/api/v1"\n'
    run_python(Snippet(tmp_path / "page.md", 3, "python", code, ""), "http://stand-in", names)
    assert names["url"] == "http://stand-in"
    with pytest.raises(ZeroDivisionError) as raised:
        run_python(Snippet(tmp_path / "page.md", 7, "python", "1 / 0", ""), "", names)
    assert raised.traceback[-1].lineno == 6
    assert str(raised.traceback[-1].path).endswith("page.md")
