"""What an app may call its operations, and how many calls one may have."""

from __future__ import annotations

import json
from typing import Any

from tachograph.operation import MOST_ATTEMPTS, Operation


def test_whatever_names_an_operation_is_text() -> None:
    odd: Any = 5
    operation = Operation(odd, odd, odd, {odd: odd, "team": None, "list": [1]})
    assert (operation.name, operation.session_id, operation.user_id) == ("5", "5", "5")
    assert json.loads(operation.tags or "") == {"5": 5, "team": None, "list": "[1]"}


def test_a_session_is_no_longer_than_what_an_index_holds() -> None:
    assert Operation(None, "s" * 10_000, None, None).session_id == "s" * 256


def test_calls_beyond_what_the_column_holds_have_its_last_number() -> None:
    operation = Operation(None, None, None, None)
    operation._attempts = MOST_ATTEMPTS - 1
    attempts = [operation.place(b"id").attempt for _ in range(3)]
    assert attempts == [MOST_ATTEMPTS] * 3
