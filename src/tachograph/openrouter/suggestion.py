"""Which models somebody may have meant who wrote a name that is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(name: str, models: Iterable[str]) -> str:
    """`; did you mean a/model?`, of three at the most; nothing where no model is like it."""
    known = sorted(set(models))
    holding = [model for model in known if name and name.lower() in model.lower()]
    like = holding or difflib.get_close_matches(name, known)
    return f"; did you mean {' or '.join(like[:3])}?" if like else ""
