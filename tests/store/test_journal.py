"""What a journal keeps, and what of it is read again after a crash."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.ids import uuid7
from tachograph.core.records import Call, Content
from tachograph.errors import JournalError
from tachograph.store import segment, waiting
from tachograph.store.adoption import Adopted, adopt
from tachograph.store.framing import HEAD_BYTES
from tachograph.store.journal import Journal
from tachograph.store.segment import lock

RECORDER = uuid7(1)


def call(number: int, **changes: object) -> Call:
    fields: dict[str, object] = dict.fromkeys(Call.__struct_fields__)
    fields |= {
        "id": number.to_bytes(16),
        "operation_id": number.to_bytes(16),
        "attempt": 1,
        "resend_count": 0,
        "host": "openrouter.ai",
        "path": "/chat/completions",
        "started_us": number,
        "outcome": "completed",
        "usage": b'{"cost":1}',
        **changes,
    }
    return Call(**fields)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "calls.db.journal"


def die(journal: Journal) -> None:
    """What is left of a process that was killed: its files, unlocked."""
    for left in journal._segments:
        left.close()


def adopted(folder: Path) -> list[Adopted]:
    return list(adopt(folder))


class One:
    """The one journal there is, read."""

    def __init__(self, folder: Path) -> None:
        (self.adopted,) = adopted(folder)
        calls = [call for batch in self.adopted.batches() for call in batch]
        self.ended = calls[: len(calls) - self.adopted.interrupted]
        self.interrupted = calls[len(self.ended) :]
        self.damaged = self.adopted.damaged
        self.counts = self.adopted.counts
        self.delete = self.adopted.delete
        self.release = self.adopted.release


def test_what_was_appended_is_read_again(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    calls = [call(n) for n in range(3)]
    for c in calls:
        journal.append(c)
    die(journal)
    found = One(folder)
    assert found.ended == calls
    assert (found.adopted.recorder_id, found.adopted.began_us) == (RECORDER, 7)
    assert found.counts["made"] == 3
    assert found.damaged == []
    found.delete()
    assert list(folder.iterdir()) == []


def test_the_journal_of_a_living_process_is_left_alone(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    assert adopted(folder) == []
    journal.close([])


def test_two_adopters_never_share(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    die(journal)
    first = One(folder)
    assert adopted(folder) == []
    first.release()
    One(folder).release()


def test_a_stream_that_never_ended_is_known(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    for n in (1, 2):
        journal.begin(call(n, outcome="abandoned", error_type="interrupted"))
    journal.append(call(1))
    die(journal)
    found = One(folder)
    assert [c.id for c in found.ended] == [call(1).id]
    assert [(c.id, c.error_type) for c in found.interrupted] == [(call(2).id, "interrupted")]
    found.release()


def test_open_streams_are_carried_over_when_a_segment_is_full(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7, segment_bytes=500)
    journal.begin(call(0, outcome="abandoned"))
    for n in range(1, 30):
        journal.append(call(n))
        journal.settled(journal.take(10))
    assert len(list(folder.iterdir())) < 3
    die(journal)
    found = One(folder)
    assert [c.id for c in found.interrupted] == [call(0).id]
    assert found.counts["made"] == 29
    found.release()


def test_a_segment_goes_when_all_in_it_is_stored(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    batch = journal.take(10)
    journal.settled(batch)
    journal.close([])
    assert list(folder.iterdir()) == []


def test_what_is_not_stored_stays_when_the_journal_is_closed(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    journal.close([])
    assert One(folder).ended == [call(1)]


@given(lost=st.integers(0, 400))
def test_a_torn_tail_loses_nothing_before_it(
    tmp_path_factory: pytest.TempPathFactory, lost: int
) -> None:
    folder = tmp_path_factory.mktemp("torn") / "journal"
    journal = Journal(folder, RECORDER, 7)
    sizes = [HEAD_BYTES]
    for n in range(4):
        journal.append(call(n))
        sizes.append(journal.size)
    path = journal._segments[0].path
    die(journal)
    left = max(sizes[-1] - lost, HEAD_BYTES)
    os.truncate(path, left)
    found = One(folder)
    assert [c.id for c in found.ended] == [
        call(n).id for n, end in enumerate(sizes[1:]) if end <= left
    ]
    assert found.damaged == []
    found.delete()


@given(at=st.integers(HEAD_BYTES, HEAD_BYTES + 200), flip=st.integers(1, 255))
def test_damage_is_told_and_what_follows_is_read(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("damage") / "journal"
    journal = Journal(folder, RECORDER, 7)
    sizes = [HEAD_BYTES]
    for n in range(5):
        journal.append(call(n))
        sizes.append(journal.size)
    path = journal._segments[0].path
    die(journal)
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)
    hit = next(n for n, end in enumerate(sizes[1:]) if at < end)
    found = One(folder)
    assert [c.id for c in found.ended] == [call(n).id for n in range(5) if n != hit]
    assert len(found.damaged) == 1
    found.delete()


def test_at_the_bound_new_records_are_dropped_and_counted(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7, max_bytes=1000)
    for n in range(20):
        journal.append(call(n))
    kept = len(journal.take(100))
    assert 0 < kept < 20
    assert journal.counts == {"made": 20, "journal_full": 20 - kept, "unwritable": 0}
    assert journal.size <= 1000
    journal.close([])


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KiB, as on a full disk."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def append_sixty(journal: Journal) -> int:
    """How many of sixty calls the file refused."""
    refused = 0
    for n in range(60):
        try:
            journal.append(call(n))
        except OSError:
            refused += 1
    return refused


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_keeps_calls_in_memory_and_the_file_whole(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    refused = append_sixty(journal)
    assert refused > 0
    assert len(journal.take(100)) == 60
    die(journal)
    found = One(folder)
    assert len(found.ended) == 60 - refused
    assert found.damaged == []
    found.delete()


@given(batches=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=12))
def test_calls_beyond_memory_wait_in_the_files_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("behind") / "journal"
    journal = Journal(folder, RECORDER, 7, in_memory=10, segment_bytes=2000)
    made = 0
    taken: list[Call] = []
    for appended, wanted in [*batches, (0, 1000), (0, 1000), (0, 1000)]:
        for _ in range(appended):
            journal.begin(call(made, outcome="abandoned"))
            journal.append(call(made))
            made += 1
        batch = journal.take(wanted)
        assert len(journal._waiting._calls) <= 10
        taken += [pending.call for pending in batch]
        journal.settled(batch)
    while journal.waiting:
        batch = journal.take(1000)
        taken += [pending.call for pending in batch]
        journal.settled(batch)
    assert taken == [call(n) for n in range(made)]
    assert journal.taken_in == made
    journal.close([])
    assert list(folder.iterdir()) == []


def with_content(number: int, size: int) -> Call:
    return call(number, content=Content("q" * size, None, None))


def test_memory_is_bounded_by_bytes_as_well(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7, memory_bytes=100_000)
    for n in range(30):
        journal.append(with_content(n, 20_000))
    assert len(journal._waiting._calls) == 4
    taken: list[Call] = []
    while journal.waiting:
        batch = journal.take(1000)
        taken += [pending.call for pending in batch]
        journal.settled(batch)
    assert [c.id for c in taken] == [call(n).id for n in range(30)]
    journal.close([])
    assert list(folder.iterdir()) == []


def test_a_batch_is_bounded_by_bytes_and_one_call_always_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BATCH_BYTES", 50_000)
    journal = Journal(folder, RECORDER, 7)
    for n, size in enumerate((20_000, 20_000, 20_000, 90_000, 1, 1)):
        journal.append(with_content(n, size))
    assert [len(journal.take(1000)) for _ in range(4)] == [2, 1, 1, 2]
    journal.close([])


@pytest.mark.parametrize("size", [3_000_000, 10])
def test_a_record_larger_than_what_is_read_at_once(folder: Path, size: int) -> None:
    journal = Journal(folder, RECORDER, 7, in_memory=0)
    calls = [with_content(n, size) for n in range(3)]
    for c in calls:
        journal.append(c)
    taken: list[Call] = []
    while journal.waiting:
        taken += [pending.call for pending in journal.take(1000)]
    assert taken == calls
    journal.close([])


def test_segments_follow_each_other_while_nothing_is_stored(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7, segment_bytes=1000)
    for n in range(40):
        journal.append(call(n))
        journal.sync([])
    assert len(list(folder.iterdir())) > 5
    die(journal)
    assert One(folder).ended == [call(n) for n in range(40)]


@pytest.mark.usefixtures("small_files")
def test_no_file_is_left_where_there_is_no_room_for_the_next(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7, segment_bytes=1000)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    journal.begin(call(0, parameters="x" * 3000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    for n in range(1, 20):
        with suppress(OSError):
            journal.append(call(n))
        journal.settled(journal.take(10))
    assert len(list(folder.iterdir())) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    journal.close([])


@pytest.mark.usefixtures("small_files")
def test_what_the_disk_refused_is_written_when_there_is_room(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    for n in range(60):
        with suppress(OSError):
            journal.append(call(n))
    held = journal.take(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    journal.sync(held)
    die(journal)
    assert {c.id for c in One(folder).ended} == {call(n).id for n in range(60)}


@pytest.mark.usefixtures("small_files")
def test_what_the_disk_refused_comes_once_where_others_wait_in_files_alone(folder: Path) -> None:
    """A disk that was full, of the database as well, has room again."""
    journal = Journal(folder, RECORDER, 7, in_memory=59)
    refused = append_sixty(journal)
    assert refused > 1
    held = journal.take(59)
    for n in range(60, 119):
        with suppress(OSError):
            journal.append(call(n))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    journal.append(call(200))
    held = journal.sync(held)
    taken: list[Call] = []
    while held:
        taken += [pending.call for pending in held]
        journal.settled(held)
        held = journal.take(1000)
    assert len(taken) == len({c.id for c in taken}) == journal.taken_in
    journal.close([])
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("small_files")
def test_what_is_in_memory_alone_at_the_end_is_written_or_dropped(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    refused = append_sixty(journal)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096 + 1000, resource.RLIM_INFINITY))
    journal.close(journal.take(59))
    found = One(folder)
    assert 60 - refused < len(found.ended) < 60
    assert found.counts == {"made": 60, "journal_full": 0, "unwritable": 60 - len(found.ended)}
    found.release()


def test_what_dies_before_it_has_its_lock_is_cleared_away(folder: Path) -> None:
    living = Journal(folder, RECORDER, 7)
    dead, locked = folder / "a-000001.new", folder / "b-000001.new"
    dead.touch()
    with locked.open("wb") as file:
        lock(file.fileno())
        assert adopted(folder) == []
        assert not dead.exists()
        assert locked.exists()
    living.close([])


def test_a_file_that_an_adopter_took_for_a_dead_ones_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock nothing tells it from one whose process died."""
    taken = 0

    def lock_late(fd: int, *, wait: bool = False) -> None:
        nonlocal taken
        if wait and not taken:
            taken += 1
            assert adopted(folder) == []
        lock(fd, wait=wait)

    monkeypatch.setattr(segment, "lock", lock_late)
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    assert taken == 1
    die(journal)
    assert One(folder).ended == [call(1)]


def test_threads_share_a_wait_for_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one waits, the others write; the next wait is for all of them."""
    journal = Journal(folder, RECORDER, 7, sync=True)
    (written,) = journal._segments
    synced: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        reached = os.fstat(fd).st_size
        began.set()
        assert go_on.wait(20)
        synced.append(reached)

    monkeypatch.setattr(os, "fdatasync", slow)
    went_on: list[int] = []

    def append(number: int) -> None:
        journal.append(call(number))
        went_on.append(number)

    threads = [threading.Thread(target=append, args=(n,)) for n in range(8)]
    threads[0].start()
    assert began.wait(20)
    first = written.size
    for thread in threads[1:]:
        thread.start()
    while written.size < first + 7 * (first - HEAD_BYTES):
        time.sleep(0.001)
    assert went_on == []  # nobody goes on before the disk has it
    go_on.set()
    for thread in threads:
        thread.join()
    assert synced == [first, written.size]
    assert sorted(went_on) == list(range(8))
    journal.close([])


def test_the_next_segment_is_waited_for_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(folder, RECORDER, 7, sync=True, segment_bytes=2000)
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    for n in range(40):
        journal.append(call(n))
        assert len(synced) == n + 1
        journal.settled(journal.take(10))
    journal.close([])


def test_power_waits_for_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    journal = Journal(folder, RECORDER, 7, sync=True)
    journal.append(call(1))
    journal.append(call(2))
    assert len(synced) == 2
    journal.close([])


def test_a_call_that_cannot_be_written_is_counted(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    with pytest.raises(UnicodeEncodeError):
        journal.append(call(1, name="\ud800"))
    assert journal.counts == {"made": 1, "journal_full": 0, "unwritable": 1}
    journal.close([])


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="TACHOGRAPH_JOURNAL_DIR"):
        Journal(tmp_path / "file" / "journal", RECORDER, 7)


def test_a_newer_journal_is_set_aside_whole(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    journal.append(call(1))
    path = journal._segments[0].path
    die(journal)
    data = bytearray(path.read_bytes())
    data[8:10] = (99).to_bytes(2, "little")
    path.write_bytes(data)
    found = One(folder)
    assert found.ended == []
    ((reason, record),) = found.damaged
    assert "version 99" in reason
    assert record == data
    found.delete()


def test_only_the_owner_may_read_it(folder: Path) -> None:
    journal = Journal(folder, RECORDER, 7)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert journal._segments[0].path.stat().st_mode & 0o777 == 0o600
    journal.close([])


def test_the_writer_gives_way_to_a_caller_that_writes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(folder, RECORDER, 1)
    gave_way: list[float] = []
    monkeypatch.setattr("tachograph.store.journal.sleep", gave_way.append)
    journal.give_way()
    assert not gave_way
    written = segment.Segment.write

    def write(self: segment.Segment, record: bytes) -> None:
        journal.give_way()  # as the writer's thread does while this caller is within its write
        written(self, record)

    monkeypatch.setattr(segment.Segment, "write", write)
    journal.append(call(1))
    assert len(gave_way) == 1
    die(journal)
