"""`tachograph purge`: says what would go, and what went."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tachograph import cli
from tachograph.store import migrate
from tachograph.store.database import open_engine
from tests.store.test_purge import NOON, ids, store


def test_purge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/calls.db"
    engine = open_engine(url)
    migrate.upgrade(engine)
    store(engine, 3)
    kept = store(engine, 1, NOON + timedelta(days=1))
    command = ["tachograph", "purge", "--db", url, "--before", "2026-11-02"]
    for options, left, line in (
        (["--dry-run"], 4, "3 calls began before 2026-11-02T00:00:00Z; none was deleted\n"),
        ([], 1, "3 calls that began before 2026-11-02T00:00:00Z were deleted\n"),
    ):
        monkeypatch.setattr(sys, "argv", [*command, *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        assert capsys.readouterr().out == line
        assert len(ids(engine)) == left
    assert ids(engine) == kept
    engine.dispose()
