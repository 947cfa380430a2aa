"""Queues are found by the dead-letter queue that they name."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the queues that name one; deleting a queue looks here too whether others name it."""
    named = sa.text("dead_letter_queue is not null")
    op.create_index("queue_dead_letter_queue", "queue", ["project_id", "dead_letter_queue"], postgresql_where=named)


def downgrade() -> None:
    """Remove the index."""
    op.drop_index("queue_dead_letter_queue", "queue")
