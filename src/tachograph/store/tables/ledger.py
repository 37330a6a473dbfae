"""Who recorded, how many calls were made and stored, and what could not be."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Integer, Text

from tachograph.store.column_types import Id, Instant
from tachograph.store.tables.metadata import column, metadata

recorders = sa.Table(
    "recorders",
    metadata,
    column("id", Id, "UUIDv7 of the recording process", primary_key=True, nullable=False),
    column("began_us", Instant, "when it began", nullable=False),
    column("last_seen_us", Instant, "when it last wrote", nullable=False),
    column("host", Text, "name of the machine"),
    column("pid", Integer, "number of the process"),
    column("service_name", Text, "`service.name` of the app"),
    column("made", BigInteger, "calls that ended", nullable=False),
    column("stored", BigInteger, "calls that it put into `calls`", nullable=False),
    column("dropped", Text, "JSON object: reason, number", nullable=False),
    column("closed", Boolean, "its journal is empty and gone", nullable=False),
    sqlite_with_rowid=False,
)

journal_dead = sa.Table(
    "journal_dead",
    metadata,
    column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        "order of arrival",
        primary_key=True,
        nullable=False,
    ),
    column("recorder_id", Id, "whose journal held it"),
    column("set_aside_us", Instant, "when", nullable=False),
    column("reason", Text, "why it could not be stored", nullable=False),
    column("record", sa.LargeBinary, "the record as it stood in the journal"),
)
