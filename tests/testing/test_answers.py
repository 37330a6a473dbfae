"""The script of an answer: cutting, pausing and breaking never change its bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.testing import RESET, Answer, Chat, Pause

BODY = bytes(range(64))
offsets = st.lists(st.integers(0, len(BODY)), max_size=5)


@given(offsets, offsets)
def test_cuts_and_insertions_keep_the_bytes(cuts: list[int], places: list[int]) -> None:
    answer = Answer(steps=(BODY,)).cut(*cuts)
    for place in places:
        answer = answer.at(place, Pause(0))
    assert answer.body == BODY
    assert answer.steps.count(Pause(0)) == len(places)


@given(st.integers(0, len(BODY)), offsets)
def test_a_step_stands_after_exactly_so_many_bytes(offset: int, cuts: list[int]) -> None:
    steps = Answer(steps=(BODY,)).cut(*cuts).at(offset, RESET).steps
    before = steps[: steps.index(RESET)]
    assert sum(len(step) for step in before if isinstance(step, bytes)) == offset


def test_there_is_no_place_after_the_end() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Answer(steps=(BODY,)).at(65, RESET)


def test_pauses_stand_before_each_piece() -> None:
    steps = Answer(steps=(b"a", b"b", b"c")).spaced(1, 2).steps
    assert steps == (Pause(1), b"a", Pause(2), b"b", Pause(2), b"c")


def test_the_sign_of_life_is_that_of_the_kind_of_answer() -> None:
    assert Chat().plain().kept_alive(2).body.startswith(b"\n         \n\n         \n{")
    stream = Chat().stream()
    assert stream.kept_alive().body == b": OPENROUTER PROCESSING\n\n" + stream.body


def test_the_fixture_costs_other_test_runs_nothing() -> None:
    code = "import sys, tachograph.testing.pytest_plugin; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"msgspec", "tachograph.testing.server"} & set(loaded.stdout.split())
