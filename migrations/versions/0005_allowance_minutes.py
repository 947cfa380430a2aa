"""A row a minute for what a project may still ask."""

from alembic import op

from migrations.scripts import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give every bucket a row a minute."""
    run_script("0005_allowance_minutes")


def downgrade() -> None:
    """Give every bucket one row."""
    op.drop_table("request_allowance")
    op.execute("""
        create unlogged table request_allowance (
            project_id bigint primary key references project on delete cascade,
            requests double precision not null,
            counted_at timestamptz not null
        )
        with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000)
    """)
