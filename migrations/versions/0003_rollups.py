"""The tables of rollups, and triggers that tell which hours they have to look at again.

Revision 0003. Who rebuilds the table `calls` (Alembic's batch mode) makes the triggers again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tachograph.store.rollup_triggers import create_triggers, drop_triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.BigInteger()
"""Microseconds since 1970 UTC."""
MONEY = sa.BigInteger()
"""Pico-dollars, 10^-12 USD."""
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("hours", sa.SmallInteger(), nullable=False),
        sa.Column("started_us", INSTANT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("calls_without_cost", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("cache_read_input_tokens", sa.BigInteger()),
        sa.Column("reasoning_output_tokens", sa.BigInteger()),
        sa.Column("billed_picousd", MONEY),
        sa.Column("computed_picousd", MONEY),
        sa.Column("spent_picousd", MONEY),
        sa.Column("generated_tokens", sa.BigInteger()),
        sa.Column("generation_seconds", sa.Double()),
        sa.Column("latency_histogram", sa.LargeBinary()),
        sa.Column("first_token_histogram", sa.LargeBinary()),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hours", "started_us", "number", name="pk_rollups"),
        sqlite_with_rowid=False,
    )
    progress = op.create_table(
        "rollup_progress",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("watched_until_us", INSTANT, nullable=False),
        sa.Column("rolled_until_us", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollup_progress"),
    )
    op.create_table(
        "rollup_changes",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("hour_us", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollup_changes"),
    )
    op.create_table(
        "rollup_gaps",
        sa.Column("hour_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("hour_us", name="pk_rollup_gaps"),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(progress, [{"id": 1, "run": 0, "watched_until_us": 0, "rolled_until_us": 0}])
    create_triggers(op.get_bind())


def downgrade() -> None:
    drop_triggers(op.get_bind())
    for table in ("rollup_gaps", "rollup_changes", "rollup_progress", "rollups"):
        op.drop_table(table)
