"""Add an index to find attempts by message."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index. Ids grow with time, so new entries are added at one end."""
    op.create_index("attempt_message", "attempt", ["message_id", "id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("attempt_message", "attempt")
