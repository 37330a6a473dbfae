"""The notebooks: kept without outputs, and run from top to bottom, on made-up and on own calls."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from tests.analytics.proof import RARE
from tests.analytics.rows import row, stored

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MADE_UP = '"sqlite:///made-up.db"'

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_they_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-first-look",
        "02-cost-audit",
        "03-reliability-and-retries",
        "04-choosing-a-model",
    ]


@every_notebook
def test_it_is_kept_without_outputs(path: Path) -> None:
    """So that a change of a notebook is a change of its words and code."""
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@every_notebook
def test_its_first_code_says_whose_calls_it_reads(path: Path) -> None:
    first, *others = code_cells(path)
    assert first.startswith(f"SOURCE = {MADE_UP}")
    assert not any("SOURCE =" in cell.replace("SOURCE ==", "") for cell in others)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks run; the first makes the calls for all."""
    return tmp_path_factory.mktemp("notebooks")


@every_notebook
def test_it_runs_from_top_to_bottom(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert {output.output_type for output in shown} == {"execute_result"}
    kinds = [kind for output in shown for kind in output.data]
    assert kinds.count("image/png") >= 1
    assert kinds.count("text/html") >= 3


@every_notebook
@pytest.mark.parametrize("rows", [[], [row(0)], RARE], ids=["none", "one", "rare"])
def test_it_runs_on_calls_of_ones_own(
    path: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """However few they are and whatever they lack; every plot can be drawn."""
    url = stored(f"sqlite:///{tmp_path}/own.db", rows)
    names: dict[str, Any] = {}
    with pl.Config():
        for number, code in enumerate(code_cells(path)):
            cell = ast.parse(code.replace(f"SOURCE = {MADE_UP}", f"SOURCE = {url!r}"))
            last = cell.body.pop() if isinstance(cell.body[-1], ast.Expr) else None
            exec(compile(cell, f"{path.name}[{number}]", "exec"), names)
            if isinstance(last, ast.Expr):
                shown = eval(
                    compile(ast.Expression(last.value), f"{path.name}[{number}]", "eval"), names
                )
                if hasattr(shown, "save"):
                    shown.save(tmp_path / "plot.png")
    assert not (tmp_path / "made-up.db").exists()


@every_notebook
def test_without_the_extra_it_says_so_at_once(path: Path, tmp_path: Path) -> None:
    lacking = "import sys; sys.modules['altair'] = None"
    code = "\n".join([lacking, *code_cells(path)[:2]])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ran.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: altair is not installed, which plots need: "
        "pip install 'tachograph[plots]'"
    )
    assert list(tmp_path.iterdir()) == []


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
