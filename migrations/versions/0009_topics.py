"""Topics."""

from alembic import op

from migrations.scripts import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what fan-out needs."""
    run_script("0009_topics")


def downgrade() -> None:
    """Remove it."""
    op.drop_column("message", "published")
    op.drop_table("subscription")
    op.drop_table("topic")
