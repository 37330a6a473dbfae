"""Commands run in this process, and a database with a few calls for them to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tachograph.cli import main
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.schema import calls
from tests.analytics.rows import row


@dataclass(frozen=True)
class Ran:
    """What a command wrote, and its exit status."""

    out: str
    err: str
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def tachograph(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `tachograph` with these arguments, in this process."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr("sys.argv", ["tachograph", *arguments])
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        else:
            status = 0
        written = capsys.readouterr()
        return Ran(written.out, written.err, int(status or 0))

    return run


def stored(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """The URL of a SQLite file with these calls in it."""
    url = f"sqlite:///{path}"
    engine = open_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(calls.insert(), rows)
    engine.dispose()
    return url


@pytest.fixture
def db(tmp_path: Path) -> str:
    """Three calls: two that were paid for, of two models, an hour apart, and one that failed."""
    return stored(
        tmp_path / "calls.db",
        [
            row(
                0,
                model="a/big",
                provider="P",
                spent_picousd=Decimal("0.000000000001"),
                latency_seconds=1.5,
                input_tokens=1000,
            ),
            row(
                timedelta(hours=1),
                model="b/small",
                provider="P",
                spent_picousd=Decimal("0.25"),
                billed_picousd=Decimal("0.25"),
            ),
            row(timedelta(hours=2), model="b/small", outcome="failed", http_status=502),
        ],
    )
