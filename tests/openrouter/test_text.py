"""Keys of every family are taken out of text and of JSON; all else stays as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachograph.openrouter.text import fit, redact, redact_json

KEYS = [
    "sk-or-v1-" + "0123456789abcdef" * 4,
    "sk-" + "a1B2" * 6,
    "sk-ant-api03-" + "x" * 20,
    "AIza" + "Sy" * 16,
    "gsk_" + "a1" * 20,
    "xai-" + "a1" * 20,
    "hf_" + "aB" * 16,
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("around", ["{}", "refused: {}.", '"{}"', "Bearer {} ä", "{}\0"])
def test_a_key(key: str, around: str) -> None:
    text = around.format(key)
    for kept in (fit(text), redact(text), redact_json(text.encode()).decode()):
        assert key[-12:] not in kept
        assert "[redacted]" in kept


@given(st.text(alphabet="abkfhgx_-AIz0159 ", max_size=60))
def test_all_else_stays(text: str) -> None:
    kept = redact(text)
    assert fit(text) == kept
    assert redact_json(text.encode()).decode() == kept
    assert kept == text or "[redacted]" in kept
