"""Add topics."""

from alembic import op

from migrations.scripts import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the tables."""
    run_script("0009_topics")


def downgrade() -> None:
    """Drop them."""
    op.drop_column("message", "published")
    op.drop_table("subscription")
    op.drop_table("topic")
