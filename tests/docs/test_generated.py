"""The pages that are made from the code say what the code does now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tachograph.cli.commands import COMMANDS
from tachograph.settings import PREFIX, Settings
from tachograph.store.schema import metadata

ROOT = Path(__file__).parents[2]


def test_the_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_table_and_command_is_described() -> None:
    columns = (ROOT / "docs/columns.md").read_text()
    commands = (ROOT / "docs/cli.md").read_text()
    for table in metadata.tables.values():
        for column in table.columns:
            assert column.doc, column
            assert f"| {column.doc} |" in columns
    for name in COMMANDS:
        assert f"## tachograph {name}\n" in commands


def test_every_variable_is_described() -> None:
    page = (ROOT / "docs/concepts.md").read_text()
    for name, field in Settings.model_fields.items():
        if field.validation_alias is None:
            assert f"| `{PREFIX}{name.upper()}` |" in page
