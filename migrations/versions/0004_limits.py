"""Add limits of projects."""

from alembic import op

from migrations.scripts import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("parked_share", "project_usage", "request_allowance")


def upgrade() -> None:
    """Add the column and the tables."""
    run_script("0004_limits")


def downgrade() -> None:
    """Drop them."""
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("project", "limits")
