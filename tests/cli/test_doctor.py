"""`tachograph doctor`: what is wrong is found, said in a line, and told by the exit status."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tachograph import Recorder, instrument
from tachograph.cli import EXTRAS, findings
from tachograph.core.records import Price
from tachograph.core.units import microseconds
from tachograph.store.database import open_engine
from tachograph.store.migrate import upgrade
from tachograph.store.price_history import record_prices
from tachograph.testing import FakeOpenRouter
from tests.analytics.rows import NOON, row
from tests.cli.conftest import Run, stored

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def found(tachograph: Run, db: str) -> tuple[dict[str, dict[str, Any]], int]:
    """What each finding is about, with the finding, and the exit status."""
    ran = tachograph("doctor", "--db", db, "--format", "json")
    assert ran.err == ""
    return {finding["about"]: finding for finding in ran.json}, ran.status


def ago(when: timedelta, **values: Any) -> dict[str, Any]:
    return row(NOW - when - NOON, **values)


def add_price(db: str, at: datetime) -> None:
    engine = open_engine(db)
    price = Price(model="a/b", valid_from_us=microseconds(at), prompt=Decimal("0.000001"))
    record_prices(engine, [price], microseconds(at), "a test")
    engine.dispose()


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    """A database with a fresh price and a call that was paid for and checked."""
    paid = {"spent_picousd": Decimal("0.1"), "computed_picousd": Decimal("0.1")}
    db = stored(
        tmp_path / "calls.db",
        [ago(timedelta(hours=1), model="a/b", input_tokens=5, output_tokens=5, **paid)],
    )
    add_price(db, NOW)
    return db


def test_a_set_up_that_lacks_nothing(tachograph: Run, healthy: str) -> None:
    by_about, status = found(tachograph, healthy)
    assert {finding["state"] for finding in by_about.values()} == {"ok"}
    assert status == 0
    assert {"settings", "database", "journals", "ledger", "prices", "clock"} <= set(by_about)


def test_people_read_a_line_for_each(tachograph: Run, healthy: str) -> None:
    ran = tachograph("doctor", "--db", healthy)
    assert ran.out.endswith("\nnothing wrong, 0 notes\n")
    assert all(line.startswith("ok ") for line in ran.out.splitlines()[:-2] if line[0] != " ")


def test_no_database(tachograph: Run, tmp_path: Path) -> None:
    by_about, status = found(tachograph, f"sqlite:///{tmp_path}/none.db")
    assert (by_about["database"]["state"], status) == ("wrong", 1)
    assert "db upgrade" in by_about["database"]["do"]
    assert not (tmp_path / "none.db").exists()


def test_a_server_that_does_not_answer(tachograph: Run, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    by_about, status = found(tachograph, "postgresql://someone:secret@127.0.0.1:1/calls")
    assert (by_about["database"]["state"], status) == ("wrong", 1)
    assert "secret" not in str(by_about)


def test_a_server_that_answers(tachograph: Run, postgres_url: str) -> None:
    by_about, status = found(tachograph, postgres_url)
    assert "db upgrade" in by_about["database"]["do"]
    assert status == 1
    engine = open_engine(postgres_url)
    upgrade(engine)
    engine.dispose()
    by_about, status = found(tachograph, postgres_url)
    assert (by_about["database"]["state"], by_about["clock"]["state"], status) == ("ok", "ok", 0)


def test_an_old_revision(tachograph: Run, healthy: str) -> None:
    with sqlite3.connect(healthy.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    by_about, status = found(tachograph, healthy)
    assert by_about["database"]["do"].startswith("`tachograph db upgrade")
    assert "ledger" not in by_about
    assert status == 1


def test_a_misspelt_variable(tachograph: Run, healthy: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TACHOGRAPH_DURABILTY", "power")
    by_about, status = found(tachograph, healthy)
    assert "did you mean TACHOGRAPH_DURABILITY" in by_about["settings"]["says"]
    assert (by_about["database"]["state"], status) == ("ok", 1)


def test_a_value_out_of_range(tachograph: Run, healthy: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TACHOGRAPH_DURABILITY", "for ever")
    by_about, status = found(tachograph, healthy)
    assert (by_about["settings"]["state"], status) == ("wrong", 1)


def test_recording_that_is_turned_off(tachograph: Run, healthy: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TACHOGRAPH_DISABLED", "1")
    by_about, status = found(tachograph, healthy)
    assert (by_about["settings"]["state"], status) == ("advice", 0)


def test_a_folder_that_cannot_be_written_to(tachograph: Run, healthy: str, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # root may write anywhere but where there is no folder at all
        by_about, _ = found(tachograph, "sqlite:////proc/calls.db")
    else:
        tmp_path.chmod(0o500)
        by_about, _ = found(tachograph, healthy)
        tmp_path.chmod(0o700)
    assert by_about["journals"]["state"] == "wrong"
    assert "right to write" in by_about["journals"]["do"]


def test_it_changes_nothing(
    tachograph: Run, healthy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    server = "postgresql+psycopg://nobody@127.0.0.1:1/calls"

    def files() -> dict[Path, bytes]:
        """All but what readers of a SQLite file share."""
        found = (path for path in tmp_path.rglob("*") if not path.name.endswith(("-shm", "-wal")))
        return {path: path.read_bytes() for path in found if path.is_file()}

    before = files()
    for db in (healthy, server, f"sqlite:///{tmp_path}/other.db"):
        found(tachograph, db)
    assert files() == before
    assert not (tmp_path / "state").exists()


def test_a_file_where_the_journals_should_be(
    tachograph: Run, healthy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TACHOGRAPH_JOURNAL_DIR", str(tmp_path / "file"))
    journals = found(tachograph, healthy)[0]["journals"]
    assert (journals["state"], "Not a directory" in journals["says"]) == ("wrong", True)


def test_what_waits_for_nobody(tachograph: Run, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/calls.db"
    code = f"""if True:
        import os, sqlite3, httpx
        from tachograph import Recorder, instrument
        from tachograph.testing import FakeOpenRouter
        with FakeOpenRouter() as server:
            recorder = Recorder({db!r}, base_urls=[server.base_url])
            recorder.flush()
            lock = sqlite3.connect({str(tmp_path / "calls.db")!r})
            lock.execute("BEGIN IMMEDIATE")
            with httpx.Client() as client:
                instrument(client, recorder)
                client.get(server.base_url + "/models")
            os._exit(1)
    """
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    by_about, status = found(tachograph, db)
    assert (by_about["ledger"]["state"], status) == ("advice", 0)
    assert by_about["ledger"]["says"] == "1 call waiting in 1 journal of processes that ended"
    assert "tachograph db replay" in by_about["ledger"]["do"]


def test_what_waits_for_a_living_recorder_is_fine(tachograph: Run, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/calls.db"
    with FakeOpenRouter() as server, Recorder(db, base_urls=[server.base_url]) as recorder:
        with httpx.Client() as client:
            instrument(client, recorder)
            client.get(f"{server.base_url}/models")
        recorder.flush()
        by_about, status = found(tachograph, db)
    assert by_about["ledger"]["says"] == "1 call made, 0 calls waiting"
    assert status == 0


def test_where_nothing_was_recorded_it_says_what_would_be(tachograph: Run, tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/calls.db"
    Recorder(db).close()
    ledger = found(tachograph, db)[0]["ledger"]
    assert (ledger["state"], ledger["says"]) == ("ok", "0 calls made, 0 calls waiting")
    assert "base_urls" in ledger["do"]


def test_calls_that_were_dropped_and_records_that_could_not_be_stored(
    tachograph: Run, healthy: str
) -> None:
    with sqlite3.connect(healthy.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "INSERT INTO recorders (id, began_us, last_seen_us, made, stored, dropped, closed) "
            "VALUES (zeroblob(16), 0, 0, 3, 1, '{\"encode\": 2}', 1)"
        )
        connection.execute("INSERT INTO journal_dead (set_aside_us, reason) VALUES (0, 'odd')")
    connection.close()
    by_about, status = found(tachograph, healthy)
    assert by_about["dropped"]["says"] == "calls that are lost: 2 encode"
    assert by_about["records"]["says"] == "1 record could not be stored"
    assert status == 0


def test_no_prices_and_stale_ones(tachograph: Run, tmp_path: Path) -> None:
    db = stored(tmp_path / "calls.db", [row(0)])
    assert found(tachograph, db)[0]["prices"]["says"].startswith("none")
    add_price(db, NOW - timedelta(days=40, hours=1))
    assert found(tachograph, db)[0]["prices"] == {
        "about": "prices",
        "state": "advice",
        "says": "none was new or other than before for 40 days",
        "do": "unless something does so daily, run `tachograph prices sync`",
    }


def test_costs_that_are_not_known_or_not_checked(tachograph: Run, tmp_path: Path) -> None:
    tokens = {"input_tokens": 5, "output_tokens": 5}
    unchecked = ago(timedelta(1), model="new", spent_picousd=Decimal(1), **tokens)
    db = stored(tmp_path / "calls.db", [unchecked, ago(timedelta(60), **tokens)])
    costs = found(tachograph, db)[0]["costs"]
    assert costs["says"].startswith("1 of 1 completed call of the last 30 days could not")
    assert "new" in costs["says"]
    db = stored(tmp_path / "other.db", [unchecked, ago(timedelta(2), **tokens)])
    costs = found(tachograph, db)[0]["costs"]
    assert costs["says"] == "1 of 2 completed calls of the last 30 days have no known cost"


def test_a_clock_that_went_back(tachograph: Run, tmp_path: Path) -> None:
    db = stored(tmp_path / "calls.db", [ago(-timedelta(days=1))])
    by_about, status = found(tachograph, db)
    assert (by_about["clock"]["state"], status) == ("wrong", 1)


def test_a_collector_that_is_there_and_one_that_is_not(
    tachograph: Run, healthy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        by_about, status = found(tachograph, healthy)
        assert (by_about["collector"]["says"], status) == (f"{url} answers", 0)
    by_about, status = found(tachograph, healthy)
    assert (by_about["collector"]["state"], status) == ("wrong", 1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier/pigeon")
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in found(tachograph, healthy)[0]["collector"]["says"]
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert found(tachograph, healthy)[0]["collector"]["state"] == "advice"


def test_extras_that_are_missing(
    tachograph: Run, healthy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "EXTRAS", {"no_such.module": "plots", "sys": "other"})
    extras = found(tachograph, healthy)[0]["extras"]
    assert (extras["state"], extras["says"]) == ("ok", "without plots")
    assert "tachograph[plots]" in extras["do"]


def test_every_extra_is_known() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    declared = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) == set(declared)
