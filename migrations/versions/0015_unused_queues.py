"""Add the deletion of unused queues."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the setting, the time of last use, and the time of the next check."""
    time = TIMESTAMP(timezone=True)
    op.add_column("queue", sa.Column("expires_after", sa.Interval))
    op.add_column("queue", sa.Column("used_at", time, nullable=False, server_default=sa.text("now()")))
    op.add_column("queue", sa.Column("use_due_at", time))
    op.create_index("queue_use_due_at", "queue", ["use_due_at"], postgresql_where=sa.text("use_due_at is not null"))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index("queue_use_due_at", "queue")
    for name in ("use_due_at", "used_at", "expires_after"):
        op.drop_column("queue", name)
