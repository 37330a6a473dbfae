"""No process forks while it writes; a fork that could not wait takes nothing from another's."""

from __future__ import annotations

import threading

import pytest

from tachograph.store import fork_gate
from tachograph.store.fork_gate import ForkGate


def test_a_fork_waits_for_the_transaction_and_the_next_one_for_the_fork() -> None:
    gate = ForkGate()
    happened: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with gate:
            inside.set()
            assert go_on.wait(20)
            happened.append("written")

    first = threading.Thread(target=write)
    first.start()
    assert inside.wait(20)
    threading.Timer(0.05, go_on.set).start()
    assert gate.pause()
    second = threading.Thread(target=write)
    second.start()
    happened.append("forked")
    gate.go_on()
    first.join()
    second.join()
    assert happened == ["written", "forked", "written"]


def test_a_fork_that_did_not_wait_frees_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_gate, "LONGEST_PAUSE_SECONDS", 0.01)
    gate = ForkGate()
    assert gate.pause()
    other: list[bool] = []

    def fork() -> None:
        other.append(gate.pause())
        gate.go_on()

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
    assert other == [False]
    assert not gate.pause()  # it is still held by the first
    gate.go_on()
    with gate:
        pass
