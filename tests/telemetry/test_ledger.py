"""The recorders' ledger as a backend of metrics gets it."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tachograph import Recorder
from tachograph.httpx import RecordingTransport
from tachograph.telemetry.ledger import show_ledger
from tachograph.testing import FakeOpenRouter

ASK = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}


class Meters(NamedTuple):
    provider: MeterProvider
    reader: InMemoryMetricReader

    def ledger(self) -> dict[str, list[Any]]:
        """The values of each of our own metrics."""
        data: Any = self.reader.get_metrics_data()
        return {
            metric.name: [point.value for point in metric.data.data_points]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name.startswith("tachograph.")
        }


@pytest.fixture
def meters() -> Iterator[Meters]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield Meters(provider, reader)
    provider.shutdown()


class Account:
    """A recorder as far as its ledger goes, in a state that takes an outage to reach."""

    class Reading(NamedTuple):
        made: int = 10
        stored: int = 6
        waiting: int = 2
        dropped: dict[str, int] = {"journal_full": 1, "unstorable": 1}  # noqa: RUF012
        in_flight: int = 3
        journal_bytes: int = 4096

    lag_seconds = 0.25

    def status(self) -> Reading:
        return self.Reading()


def test_recorders_that_share_a_provider_add_up_and_go_when_they_are_gone(meters: Meters) -> None:
    one, other = Account(), Account()
    show_ledger(one, meters.provider)
    assert meters.ledger() == {
        "tachograph.calls.made": [10],
        "tachograph.calls.stored": [6],
        "tachograph.calls.waiting": [2],
        "tachograph.calls.dropped": [1, 1],
        "tachograph.calls.in_flight": [3],
        "tachograph.journal.size": [4096],
        "tachograph.writer.lag": [0.25],
    }
    show_ledger(other, meters.provider)
    other.lag_seconds = 7.0
    both = meters.ledger()
    assert both["tachograph.calls.made"] == [20]
    assert both["tachograph.calls.dropped"] == [2, 2]
    assert both["tachograph.writer.lag"] == [7.0]
    del one, other
    gc.collect()
    assert meters.ledger() == {}


def test_a_recorder_shows_what_it_stored_and_what_waits(meters: Meters, tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    url = f"sqlite:///{file}"
    with (
        FakeOpenRouter() as server,
        Recorder(url, base_urls=[server.base_url], meter_provider=meters.provider) as recorder,
        httpx.Client(base_url=server.base_url, transport=RecordingTransport(recorder)) as client,
    ):
        client.post("chat/completions", json=ASK)
        assert recorder.flush()
        stored = meters.ledger()
        assert stored["tachograph.calls.made"] == stored["tachograph.calls.stored"] == [1]
        assert stored["tachograph.writer.lag"] == [0]
        with closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else may write
            client.post("chat/completions", json=ASK)
            waiting = meters.ledger()
        assert waiting["tachograph.calls.waiting"] == [1]
        assert waiting["tachograph.writer.lag"][0] > 0
        assert recorder.flush()
        assert meters.ledger()["tachograph.calls.waiting"] == [0]


def test_the_provider_may_be_set_after_the_first_recorder_and_before_the_second(
    tmp_path: Path,
) -> None:
    program = """
import sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tachograph import Recorder
first = Recorder("sqlite:///one.db")
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
second = Recorder("sqlite:///two.db")
(resource,) = reader.get_metrics_data().resource_metrics
(scope,) = resource.scope_metrics
size = {m.name: m.data.data_points for m in scope.metrics}["tachograph.journal.size"][0].value
assert size == first.status().journal_bytes + second.status().journal_bytes > 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=60)
