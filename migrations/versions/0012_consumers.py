"""Add the consumers of queues."""

from alembic import op

from migrations.scripts import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    run_script("0012_consumers")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("consumer")
