"""Add folded errors, which compare the errors of dead letters without their variable parts."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the function that folds an error."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    """Drop the function."""
    op.execute("drop function folded_error(text)")
