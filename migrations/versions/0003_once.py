"""Deduplication, transactions."""

from alembic import op

from migrations.scripts import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the memory of what was sent, and of what transactions were answered."""
    run_script("0003_once")


def downgrade() -> None:
    """Forget what was sent: a repeat stores a second message."""
    op.drop_table("transaction_answer")
    op.drop_table("deduplication")
