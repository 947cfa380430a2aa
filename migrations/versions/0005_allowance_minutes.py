"""Store request allowances in a new row every minute."""

from alembic import op

from migrations.scripts import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the table by one with a row for each minute."""
    run_script("0005_allowance_minutes")


def downgrade() -> None:
    """Replace the table by one with a single row for each project."""
    op.drop_table("request_allowance")
    op.execute("""
        create unlogged table request_allowance (
            project_id bigint primary key references project on delete cascade,
            requests double precision not null,
            counted_at timestamptz not null
        )
        with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000)
    """)
