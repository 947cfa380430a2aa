"""Restrict the index of ready groups to statements that look for ready groups."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "create index fifo_group_ready on fifo_group (queue_number, ready_at, name)"


def upgrade() -> None:
    """Make the index partial, with a condition that only the search for ready groups contains.

    Otherwise, if the planner expects few groups on many pages, it also uses this index to find a group by name, and
    scans all entries, including dead ones.
    """
    op.drop_index("fifo_group_ready", "fifo_group")
    op.execute(f"{_INDEX} where ready_at > '-infinity'")


def downgrade() -> None:
    """Make the index complete again."""
    op.drop_index("fifo_group_ready", "fifo_group")
    op.execute(_INDEX)
