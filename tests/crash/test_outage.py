"""PostgreSQL is away, and the recorder is restarted meanwhile: nothing is lost, nothing doubled.

Short here; `make outage` asks for ten minutes through TACHOGRAPH_TEST_OUTAGE (calls a phase).
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

import tachograph
from tachograph import Recorder
from tachograph.store import migrate, writer
from tachograph.store.database import open_engine
from tachograph.testing import FakeOpenRouter
from tests.crash.outage import Wire

CALLS = int(os.environ.get("TACHOGRAPH_TEST_OUTAGE", "40"))
ASKED = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "q"}]}


def call(recorder: Recorder, base_url: str) -> list[str]:
    with httpx.Client(base_url=base_url) as client:
        tachograph.instrument(client, recorder)
        return [client.post("/chat/completions", json=ASKED).json()["id"] for _ in range(CALLS)]


def test_postgresql_goes_away_and_returns(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path))
    monkeypatch.setattr(writer, "LONGEST_BACK_OFF_SECONDS", 0.1)
    direct = sa.make_url(postgres_url)
    engine = open_engine(direct)
    migrate.upgrade(engine)
    assert direct.port is not None
    wire = Wire(direct.port)
    url = direct.set(port=wire.port).render_as_string(hide_password=False)
    seen: list[str] = []
    with FakeOpenRouter() as server:
        first = Recorder(url, base_urls=[server.base_url])
        seen += call(first, server.base_url)
        assert first.flush(20)
        wire.cut()
        seen += call(first, server.base_url)
        assert not first.flush(0.2)
        assert not first.close(0.2)  # what waits stays in its journal
        second = Recorder(url, base_urls=[server.base_url])
        seen += call(second, server.base_url)
        assert not second.flush(0.2)
        wire.restore()
        seen += call(second, server.base_url)
        assert second.flush(20)
        status = second.status()
        assert (status.made, status.stored, status.dropped) == (2 * CALLS, 2 * CALLS, {})
        assert second.close(20)
        with Recorder(url) as third:  # adopts what the first one left
            assert third.flush(20)
    with engine.connect() as connection:
        stored = connection.execute(sa.text("SELECT generation_id FROM calls")).scalars().all()
    engine.dispose()
    wire.close()
    assert sorted(stored) == sorted(seen)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
