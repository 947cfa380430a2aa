"""Attempts are found by their message."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index attempts by message; ids grow with time, so that new entries come to one end."""
    op.create_index("attempt_message", "attempt", ["message_id", "id"])


def downgrade() -> None:
    """Remove the index."""
    op.drop_index("attempt_message", "attempt")
