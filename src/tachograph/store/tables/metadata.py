"""What all tables are made with: how they are gathered, and how a column is described."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def column(name: str, kind: Any, doc: str, **kwargs: Any) -> sa.Column[Any]:
    """A column that may be null unless it is of the primary key; `doc` says what it means."""
    kwargs.setdefault("nullable", not kwargs.get("primary_key", False))
    return sa.Column(name, kind, doc=doc, **kwargs)
