"""The index of ready groups serves those who look for ready groups, and nobody who looks for one by its name."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "create index fifo_group_ready on fifo_group (queue_number, ready_at, name)"


def upgrade() -> None:
    """Have the index stand for what only the look for ready groups says of itself.

    Where the planner believes in few groups among many pages it would find one by its name there too, along all that
    there are, dead ones too.
    """
    op.drop_index("fifo_group_ready", "fifo_group")
    op.execute(f"{_INDEX} where ready_at > '-infinity'")


def downgrade() -> None:
    """Have it stand for everything."""
    op.drop_index("fifo_group_ready", "fifo_group")
    op.execute(_INDEX)
