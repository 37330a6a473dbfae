"""What a dead process left gets into SQL, each call once, whatever stands in the way."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from tachograph.core.ids import uuid7
from tachograph.core.records import Call
from tachograph.openrouter.usage import read_usage
from tachograph.store import adoption, migrate
from tachograph.store.adoption import adopt
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter, Ledger
from tachograph.store.journal import Journal
from tachograph.store.ledger import read_ledger
from tachograph.store.prices import PriceBook
from tachograph.store.replay import replay
from tachograph.store.rows import RowMaker
from tachograph.store.set_aside import store_all
from tests.store.test_journal import call, die

RECORDER = uuid7(1)


class NoSpans:
    def make(self, *_: object) -> None:
        return None


class Place:
    """A database and the folder of its journals."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "calls.db"
        self.folder = tmp_path / "calls.db.journal"
        self.engine = open_engine(f"sqlite:///{self.file}")
        migrate.upgrade(self.engine)

    def leave(self, calls: list[Call]) -> None:
        """The journal of a process that died before it stored these."""
        journal = Journal(self.folder, RECORDER, 7, segment_bytes=2000)
        for made in calls:
            journal.append(made)
            journal.sync([])
        die(journal)

    def replay(self) -> int:
        maker = RowMaker(read_usage, PriceBook(self.engine), NoSpans())
        (found,) = adopt(self.folder)
        try:
            added = replay(found, Inserter(self.engine), maker)
        except BaseException:
            found.release()
            raise
        found.delete()
        return added

    def ids(self) -> list[bytes]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(sa.text("SELECT id FROM calls ORDER BY id")).scalars().all()
            )

    def account(self) -> tuple[int, int, int, dict[str, int]]:
        total = read_ledger(self.engine, self.folder).total
        return total.made, total.stored, total.waiting, total.dropped


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_long_journal_goes_in_small_batches(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "BATCH", 7)
    calls = [call(n) for n in range(60)]
    place.leave(calls)
    stored: list[int] = []
    store = Inserter.store

    def watch(self: Inserter, rows: list[object], *rest: object) -> int:
        stored.append(len(rows))
        return store(self, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Inserter, "store", watch)
    assert place.replay() == 60
    assert stored == [7] * 8 + [4, 0]
    assert place.ids() == [made.id for made in calls]
    assert place.account() == (60, 60, 0, {})


def test_broken_off_and_done_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "BATCH", 10)
    place.leave([call(n) for n in range(35)])
    store = Inserter.store
    batches = iter([10, 10])

    def break_off(self: Inserter, rows: list[object], *rest: object) -> int:
        if next(batches, None) is None:
            raise sa.exc.OperationalError("the database went away", None, Exception())
        return store(self, rows, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Inserter, "store", break_off)
        with pytest.raises(sa.exc.OperationalError):
            place.replay()
    assert place.account() == (35, 20, 15, {})
    assert place.replay() == 15
    assert place.account() == (35, 35, 0, {})


def test_one_bad_row_does_not_stop_it(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(place.file) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON calls WHEN new.name = 'poison' "
            "BEGIN SELECT RAISE(ABORT, 'no poison here'); END"
        )
    connection.close()
    place.leave([call(1), call(2, name="poison"), call(3)])
    assert place.replay() == 2
    assert place.ids() == [call(1).id, call(3).id]
    assert place.account() == (3, 2, 0, {"unstorable": 1})
    assert "no poison here" in caplog.text
    assert list(place.folder.iterdir()) == []


def test_what_its_process_had_set_aside_itself_stays_counted(place: Place) -> None:
    ledger = Ledger(RECORDER, 7, last_seen_us=8, made=1, dropped={"unstorable": 1})
    Inserter(place.engine).store((), ledger)
    journal = Journal(place.folder, RECORDER, 7)
    for n in range(3):
        journal.append(call(n))
    journal.settled(journal.take(1))  # the bad one
    die(journal)
    for segment in place.folder.iterdir():  # of which nothing is left in the file
        data = segment.read_bytes()
        size = (len(data) - 128) // 3
        segment.write_bytes(data[:128] + data[128 + size :])
    assert place.replay() == 2
    assert place.account() == (3, 2, 0, {"unstorable": 1})


def test_a_call_that_was_written_and_not_counted_yet(place: Place) -> None:
    """Its process died in between."""
    place.leave([call(n) for n in range(3)])
    *_, last = sorted(place.folder.iterdir())
    data = bytearray(last.read_bytes())
    assert data[64] == 3
    data[64] = 2
    last.write_bytes(data)
    assert place.replay() == 3
    assert place.account() == (3, 3, 0, {})


def test_a_refused_call_is_counted_once_however_often_its_journal_is_taken_up(
    place: Place,
) -> None:
    place.leave([call(1), call(2, max_tokens=2**64 - 1), call(3)])
    for _ in range(2):  # who takes it up dies before it is deleted
        (found,) = adopt(place.folder)
        maker = RowMaker(read_usage, PriceBook(place.engine), NoSpans())
        replay(found, Inserter(place.engine), maker)
        found.release()
    place.replay()
    assert place.account() == (3, 2, 0, {"unstorable": 1})
    with place.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM journal_dead")).scalar() == 1


def test_what_is_too_large_for_an_index_stops_no_other_call(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    migrate.upgrade(engine)
    calls = [call(1), call(2, session_id=secrets.token_hex(10_000)), call(3)]
    ledger = Ledger(RECORDER, 1, 2, 3, {})
    rows = RowMaker(read_usage, PriceBook(engine), NoSpans()).rows(calls)
    added = store_all(Inserter(engine), rows, ledger, calls)
    engine.dispose()
    assert (added, ledger.dropped) == (2, {"unstorable": 1})
