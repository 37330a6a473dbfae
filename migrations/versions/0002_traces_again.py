"""What it takes to send traces again: calls.resend_of, and the spans of operations; calls.job_id.

Revision 0002. Rows of `calls` that are there keep null, which is also what a first sending has,
and a call that has to do with no job.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tachograph.store.call_log import create_call_log

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW call_log")
    op.add_column("calls", sa.Column("resend_of", ID))
    op.add_column("calls", sa.Column("job_id", sa.Text()))
    of_jobs = sa.text("job_id IS NOT NULL")
    op.create_index(
        "ix_calls_job_id", "calls", ["job_id"], sqlite_where=of_jobs, postgresql_where=of_jobs
    )
    create_call_log(op.get_bind())
    op.create_table(
        "operation_spans",
        sa.Column("id", ID, nullable=False),
        sa.Column("operation_id", ID),
        sa.Column("name", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.Column("tags", sa.Text()),
        sa.Column("service_name", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=False),
        sa.Column("error_type", sa.Text()),
        sa.Column("trace_id", sa.LargeBinary(16), nullable=False),
        sa.Column("span_id", sa.LargeBinary(8), nullable=False),
        sa.Column("parent_span_id", sa.LargeBinary(8)),
        sa.PrimaryKeyConstraint("id", name="pk_operation_spans"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("operation_spans")
    op.execute("DROP VIEW call_log")
    op.drop_index("ix_calls_job_id", "calls")
    op.drop_column("calls", "job_id")
    op.drop_column("calls", "resend_of")
    create_call_log(op.get_bind())
