"""Add webhooks."""

from alembic import op

from migrations.scripts import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables."""
    run_script("0008_push")


def downgrade() -> None:
    """Drop them."""
    op.drop_index("message_pushed", "message")
    op.drop_column("message", "pushed_by")
    op.drop_column("message", "attempts")
    op.drop_table("attempt")
    op.drop_table("webhook")
