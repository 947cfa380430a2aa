"""Create projects, keys, queues, messages and settled receipts."""

import secrets

import sqlalchemy as sa
from alembic import op

from migrations.scripts import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = ("settlement", "message", "retired_queue", "queue", "api_key", "project")


def upgrade() -> None:
    """Create the tables and the default project."""
    run_script("0001_foundation")
    _choose_compression()
    op.execute(
        sa.text(
            "insert into project (id, name, created_at, updated_at) "
            "values (:id, 'default', clock_timestamp(), clock_timestamp())"
        ).bindparams(sa.bindparam("id", secrets.randbits(63), sa.BigInteger))
    )


def downgrade() -> None:
    """Drop all tables."""
    for table in _TABLES:
        op.drop_table(table)


def _choose_compression() -> None:
    """Compress bodies with lz4 if the server supports it. pglz would take several times the rest of a send."""
    known = op.get_bind().scalar(sa.text("select enumvals from pg_settings where name = 'default_toast_compression'"))
    choice = "compression lz4" if "lz4" in known else "storage external"
    op.execute(f"alter table message alter column body set {choice}")
