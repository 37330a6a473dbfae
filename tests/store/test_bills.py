"""A job's bill is stored once, whoever is told it, and however closely they come together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from tachograph.core.ids import uuid7
from tachograph.core.records import Call
from tachograph.openrouter.usage import read_usage
from tachograph.store.database import open_engine
from tachograph.store.insert import Inserter
from tachograph.store.prices import PriceBook
from tachograph.store.rows import RowMaker
from tachograph.store.schema import calls
from tests.telemetry.conftest import COMPLETED

STARTED_US = 1_790_000_000_000_000


@pytest.fixture
def url(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


class NoSpans:
    def make(self, *_: object) -> None:
        return None


class Process:
    """What a process has of its own: connections, and rows that it made before it stores them."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.row_maker = RowMaker(read_usage, PriceBook(self.engine), NoSpans())
        self.inserter = Inserter(self.engine)

    def store(self, batch: list[Call], meet: threading.Barrier | None = None) -> None:
        rows = self.row_maker.rows(batch)
        if meet is not None:
            meet.wait(20)  # each has looked before any has stored
        self.inserter.store(rows, None, batch)


@pytest.fixture
def processes(url: str) -> Iterator[list[Process]]:
    made = [Process(url) for _ in range(4)]
    yield made
    for process in made:
        process.engine.dispose()


def poll(number: int, job: int) -> Call:
    """A finished poll of a job that names no generation."""
    return replace(
        COMPLETED,
        id=uuid7(STARTED_US + number),
        started_us=STARTED_US + number,
        path="/videos/{id}",
        operation_name="video_generation",
        request_model=None,
        generation_id=None,
        usage=b'{"cost":0.5,"is_byok":false}',
        job_id=f"job-{job}",
    )


def stored(engine: sa.Engine) -> list[tuple[str, int | None]]:
    query = sa.select(calls.c.job_id, sa.type_coerce(calls.c.billed_picousd, sa.BigInteger))
    with engine.connect() as connection:
        return [(str(job), billed) for job, billed in connection.execute(query)]


def test_processes_that_are_told_at_once(processes: list[Process]) -> None:
    meet = threading.Barrier(len(processes))
    batches = [
        [poll(100 * number + job, job) for job in range(20)] for number in range(len(processes))
    ]
    batches[1].reverse()  # whoever waits for whom: nobody for ever
    threads = [
        threading.Thread(target=process.store, args=(batch, meet))
        for process, batch in zip(processes, batches, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rows = stored(processes[0].engine)
    assert len(rows) == 80
    assert sorted(job for job, billed in rows if billed is not None) == sorted(
        f"job-{job}" for job in range(20)
    )
    with processes[0].engine.connect() as connection:
        sources = sorted(connection.execute(sa.select(calls.c.cost_source)).scalars())
    assert sources == ["billed"] * 20 + ["unknown"] * 60


def test_a_batch_that_is_stored_again_keeps_its_bill(processes: list[Process]) -> None:
    batch = [poll(1, 1), poll(2, 1)]
    for process in processes[:2]:
        process.store(batch)
    assert stored(processes[0].engine) == [("job-1", 500_000_000_000), ("job-1", None)]
