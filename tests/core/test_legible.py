"""What people are shown has no character that acts unseen, and loses none that is seen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.core.legible import legible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("bell\a and \x9b1m", "bell\ufffd and \ufffd1m"),
        ("two\r\nlines\u2028and\tmore", "two lines and more"),
        ("abc\u202egnp.exe", "abc\ufffdgnp.exe"),
        ("\U0001f468\u200d\U0001f469 \u05e9\u05dc\u05d5\u05dd", None),
        ("", ""),
    ],
)
def test_what_acts_unseen_is_seen(text: str, shown: str | None) -> None:
    assert legible(text) == (text if shown is None else shown)


@given(st.text())
def test_nothing_acts_unseen(text: str) -> None:
    shown = legible(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp")]
    assert not [c for c in shown if unicodedata.bidirectional(c) in _TURNING]
    assert legible(shown) == shown
    assert len(shown) <= len(text)


_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
