"""Add the fingerprint of the secret key."""

from alembic import op

from migrations.scripts import run_script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    run_script("0016_secret_key")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("secret_key")
