"""calls.foreign_span: whose span the ids of a call are.

Revision 0004. Rows that are there keep null, not known: their ids may be either's.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tachograph.store.call_log import create_call_log

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW call_log")
    op.add_column("calls", sa.Column("foreign_span", sa.Boolean()))
    create_call_log(op.get_bind())


def downgrade() -> None:
    op.execute("DROP VIEW call_log")
    op.drop_column("calls", "foreign_span")
    create_call_log(op.get_bind())
