"""calls.resend_of: the call that a re-sending sends again.

Revision 0002. Rows that are there keep null, which is also what a first sending has.
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
    create_call_log(op.get_bind())


def downgrade() -> None:
    op.execute("DROP VIEW call_log")
    op.drop_column("calls", "resend_of")
    create_call_log(op.get_bind())
