"""Names of groups compare alike in both of their tables: with two collations no index of messages can be used."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Compare groups of messages by their octets, as fifo_group does; the index is built anew, the table is not."""
    op.execute('alter table message alter column message_group type text collate "C"')


def downgrade() -> None:
    """Compare them as the database does."""
    op.execute('alter table message alter column message_group type text collate "default"')
