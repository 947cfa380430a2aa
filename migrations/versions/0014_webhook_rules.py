"""Add functions for the rules about webhooks that several statements share."""

from alembic import op

from migrations.scripts import run_script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the functions."""
    run_script("0014_webhook_rules")


def downgrade() -> None:
    """Drop the functions."""
    op.execute("drop function webhook_tokens(float8, timestamptz, float8, timestamptz)")
    op.execute("drop function webhook_state(boolean, timestamptz, text, integer, timestamptz)")
