"""Add an index to find queues that have metrics of their own."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index on the queues that request metrics with their label."""
    op.execute("create index queue_metered on queue (created_at, id) where labels ->> 'metrics' = 'true'")


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("queue_metered", "queue")
