"""Add deduplication and transactions."""

from alembic import op

from migrations.scripts import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables for deduplication ids and the responses of transactions."""
    run_script("0003_once")


def downgrade() -> None:
    """Drop the tables. A repeated send then stores a second message."""
    op.drop_table("transaction_answer")
    op.drop_table("deduplication")
