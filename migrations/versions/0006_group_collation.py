"""Use the same collation for group names in both tables; with two collations, no index of messages can be used."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Compare groups of messages by their bytes, as in fifo_group. This rebuilds the index but not the table."""
    op.execute('alter table message alter column message_group type text collate "C"')


def downgrade() -> None:
    """Use the database's default collation."""
    op.execute('alter table message alter column message_group type text collate "default"')
