"""Add fifo queues, dead letters, priorities, tasks and queues with max_length."""

from alembic import op

from migrations.scripts import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_QUEUE_COLUMNS = (
    "deduplication_window",
    "deduplicate_by_content",
    "dead_letter_queue",
    "max_receives",
    "dead_letter_expired",
    "unmarked_after",
    "urgencies",
)
_MESSAGE_COLUMNS = ("seq", "exhausted_at", "dead_letter", "moved")


def upgrade() -> None:
    """Add the columns and tables."""
    run_script("0002_delivery")


def downgrade() -> None:
    """Drop the columns and tables. Messages of fifo queues become messages of standard queues."""
    op.drop_table("queue_room")
    op.drop_table("task")
    op.drop_table("fifo_group")
    for column in _MESSAGE_COLUMNS:
        op.drop_column("message", column)
    op.drop_constraint("queue_dead_letter", "queue")
    for column in _QUEUE_COLUMNS:
        op.drop_column("queue", column)
