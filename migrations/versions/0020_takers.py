"""Record the holder of a message's lease."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that are null in every row, which takes the same time for any number of rows."""
    # The key (null for the root key), the way of receiving, and the lease that these two refer to. An older version,
    # which does not know the columns, leaves the values of an earlier lease in them.
    op.execute(
        "alter table message add column taken_by uuid, add column taken_via smallint, add column taken_under bigint"
    )


def downgrade() -> None:
    """Drop the columns."""
    op.execute("alter table message drop column taken_by, drop column taken_via, drop column taken_under")
