"""Add the activity of queues in the last hour."""

from alembic import op

from migrations.scripts import run_script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    run_script("0010_activity")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("project_activity")
    op.drop_table("queue_activity")
