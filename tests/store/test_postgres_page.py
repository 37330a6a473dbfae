"""docs/postgres.md, followed step by step on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa

import tachograph
from tachograph.analytics import read_calls, roll_up, rollup_coverage, scan_rollups
from tachograph.core.ids import uuid7_floor
from tachograph.core.units import microseconds
from tachograph.httpx import RecordingTransport
from tachograph.store import migrate
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger

PAGE = Path(__file__).parents[2] / "docs/postgres.md"
ANSWER = {
    "id": "gen-1",
    "model": "a/b",
    "choices": [{"finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.000000009375},
}


class Page:
    """The SQL of the page, for roles whose names no other test has."""

    def __init__(self, owner_url: str) -> None:
        self.owner = open_engine(owner_url)
        suffix = f"_{uuid4().hex[:8]}"
        self.writer, self.analyst = f"tachograph_writer{suffix}", f"tachograph_analyst{suffix}"
        text = re.sub(r"tachograph_(writer|analyst)\b", rf"tachograph_\1{suffix}", PAGE.read_text())
        blocks = re.findall(r"```sql\n(.*?)```", text, re.S)
        self.grants = [block for block in blocks if "GRANT" in block]
        self.queries = [block for block in blocks if "SELECT" in block and "GRANT" not in block]

    def url(self, role: str) -> str:
        return self.owner.url.set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def page(postgres_url: str) -> Iterator[Page]:
    page = Page(postgres_url)
    migrate.upgrade(page.owner)
    with page.owner.begin() as connection:
        for grant in page.grants:
            connection.exec_driver_sql(grant)
    yield page
    with page.owner.begin() as connection:
        for role in (page.writer, page.analyst):
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
    page.owner.dispose()


def record_a_call(url: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
    with (
        tachograph.Recorder(url) as recorder,
        httpx.Client(transport=RecordingTransport(recorder, transport)) as client,
    ):
        client.post("https://openrouter.ai/api/v1/chat/completions", json={"model": "a/b"})
        assert recorder.flush(30), "the call was not stored"


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path))


def test_a_writer_records_without_reading(page: Page) -> None:
    record_a_call(page.url(page.writer))
    engine = open_engine(page.url(page.writer))
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="denied"):
        connection.exec_driver_sql("SELECT id, name FROM calls")
    inserter = Inserter(engine)
    inserter.set_aside([("bad", b"record")], Ledger(uuid7_floor(1), 1, 1, 1, {}))
    engine.dispose()
    with page.owner.connect() as connection:
        assert connection.exec_driver_sql("SELECT generation_id FROM calls").scalar() == "gen-1"


def test_a_writers_own_tables_are_nothing_to_the_triggers(page: Page) -> None:
    """They run with the owner's rights: a trigger of the writer's would have them as well."""
    engine = open_engine(page.url(page.writer))
    with engine.begin() as connection:
        for statement in (
            "CREATE TEMPORARY TABLE rollup_progress (watched_until_us bigint)",
            "INSERT INTO rollup_progress VALUES (9000000000000000000)",
            "CREATE TEMPORARY TABLE rollup_changes (hour_us bigint)",
            "GRANT ALL ON rollup_progress, rollup_changes TO PUBLIC",
        ):
            connection.exec_driver_sql(statement)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO calls (id, operation_id, attempt, resend_count, host, path, started_us,"
            " outcome, cost_source) VALUES (gen_random_uuid(), gen_random_uuid(), 1, 0, 'h', '/p',"
            " 1, 'failed', 'unknown')"
        )
    with engine.begin() as connection:
        taken = connection.exec_driver_sql("SELECT hour_us FROM pg_temp.rollup_changes").all()
    engine.dispose()
    assert taken == []


@pytest.mark.parametrize("may_read", [True, False])
def test_jobs_that_several_writers_ask_for(page: Page, may_read: bool) -> None:
    if not may_read:
        with page.owner.begin() as connection:
            connection.exec_driver_sql(f"REVOKE ALL ON calls FROM {page.writer}")
            connection.exec_driver_sql(f"GRANT INSERT ON calls TO {page.writer}")
        engine = open_engine(page.url(page.writer))
        assert Inserter(engine).known([uuid7_floor(1)]) == set()
        engine.dispose()
    done = {"id": "job-1", "status": "completed", "usage": {"cost": 0.5}}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=done))
    for method in ("POST", "GET"):  # each is a recorder that knows nothing of the other
        with (
            tachograph.Recorder(page.url(page.writer)) as recorder,
            httpx.Client(transport=RecordingTransport(recorder, transport)) as client,
        ):
            asked = {"model": "a/b"} if method == "POST" else None
            client.request(method, "https://openrouter.ai/api/v1/videos/job-1", json=asked)
            assert recorder.flush(30), "the call was not stored"
    with page.owner.connect() as connection:
        rows = connection.exec_driver_sql("SELECT model, billed_picousd FROM calls ORDER BY id")
        second = ("a/b", None) if may_read else (None, 500_000_000_000)
        assert [tuple(row) for row in rows] == [("a/b", 500_000_000_000), second]


def test_an_analyst_reads_and_cannot_write(page: Page) -> None:
    record_a_call(page.url(page.writer))
    calls = read_calls(page.url(page.analyst))
    assert calls["input_tokens"].to_list() == [1]
    engine = open_engine(page.url(page.analyst))
    migrate.check(engine)
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="denied"):
        connection.exec_driver_sql("DELETE FROM calls")
    engine.dispose()


def test_an_analyst_who_may_not_read_all_of_rollups_reads_calls(page: Page) -> None:
    record_a_call(page.url(page.writer))
    owner, analyst = (page.url(role) for role in (page.owner.url.username or "", page.analyst))
    roll_up(owner, now_us=microseconds(datetime.now(UTC) + timedelta(hours=2)))
    for told in (1, 0):
        assert rollup_coverage(analyst).calls == told
        assert scan_rollups(analyst, current=True).collect()["calls"].sum() == 1
        with page.owner.begin() as connection:
            connection.exec_driver_sql(f"REVOKE SELECT ON rollup_gaps FROM {page.analyst}")
    with page.owner.begin() as connection:
        connection.exec_driver_sql(f"GRANT SELECT ON rollup_gaps TO {page.analyst}")
        connection.exec_driver_sql("ALTER TABLE calls ENABLE ROW LEVEL SECURITY")
        connection.exec_driver_sql("CREATE POLICY theirs ON calls USING (true)")
    assert rollup_coverage(analyst).calls == 0, "rollups may tell of calls that are not theirs"
    assert scan_rollups(analyst, current=True).collect()["calls"].sum() == 1


def test_the_queries_answer(page: Page) -> None:
    record_a_call(page.url(page.writer))
    assert len(page.queries) == 2
    with page.owner.connect() as connection:
        for query in page.queries:
            (row,) = connection.exec_driver_sql(query).all()
            assert format(row.spent_usd, "f") == "0.000000009375"


def test_the_floor_of_an_instant_is_the_same_in_sql(page: Page) -> None:
    start = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
    instants = [start + timedelta(microseconds=n) for n in range(0, 2001, 7)]
    with page.owner.connect() as connection:
        for instant in instants:
            found: UUID = connection.execute(sa.select(sa.func.uuid7_floor(instant))).scalar_one()
            assert found.bytes == uuid7_floor(microseconds(instant))
        plan = connection.exec_driver_sql(
            "EXPLAIN SELECT model FROM call_log WHERE id >= uuid7_floor(now())"
        )
        assert "pk_calls" in "\n".join(plan.scalars())


def test_calls_wait_until_the_owner_has_upgraded(postgres_url: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
    with (
        tachograph.Recorder(postgres_url) as recorder,
        httpx.Client(transport=RecordingTransport(recorder, transport)) as client,
    ):
        client.post("https://openrouter.ai/api/v1/chat/completions", json={"model": "a/b"})
        assert not recorder.flush(0.5)
        assert recorder.status().waiting == 1
        engine = open_engine(postgres_url)
        migrate.upgrade(engine)
        engine.dispose()
        assert recorder.flush(30)
        assert recorder.status().stored == 1
