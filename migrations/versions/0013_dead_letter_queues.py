"""Add an index to find queues by their dead-letter queue."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index, which the deletion of a queue also uses to check for references."""
    named = sa.text("dead_letter_queue is not null")
    op.create_index("queue_dead_letter_queue", "queue", ["project_id", "dead_letter_queue"], postgresql_where=named)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("queue_dead_letter_queue", "queue")
