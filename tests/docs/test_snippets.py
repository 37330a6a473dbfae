"""Whatever a reader can copy from README.md and docs/ works."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import tachograph
from tachograph.testing import FakeOpenRouter
from tests.docs.snippets import run_console, run_python, snippets

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_ELSEWHERE = ROOT / "docs/recipes"
"""Other environments than this one, by tests/recipes."""


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent != RUN_ELSEWHERE],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_page_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    with FakeOpenRouter() as server:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPENROUTER_API_KEY", "any")
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
        monkeypatch.setenv("TACHOGRAPH_BASE_URLS", server.base_url)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        try:
            for snippet in snippets(page):
                if snippet.language == "python":
                    with monkeypatch.context() as patch:
                        # what is set up in this process stays for the tests that come after
                        patch.setenv("OTEL_SDK_DISABLED", "true")
                        run_python(snippet, server.base_url, names)
                else:
                    run_console(snippet, tmp_path, os.environ)
        finally:
            for value in names.values():
                if isinstance(value, tachograph.Recorder | httpx.Client):
                    value.close()


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/README.md")]:
        assert f"({page.relative_to(ROOT)})" in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), link
