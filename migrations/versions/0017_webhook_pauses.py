"""Store a receiver's requested pause and an open circuit in separate columns."""

from migrations.scripts import run_script

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Separate the columns, and add the last error."""
    run_script("0017_webhook_pauses")


def downgrade() -> None:
    """Merge them into one column."""
    run_script("0017_webhook_pauses_down")
