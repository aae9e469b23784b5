"""Jobs that wait for one of their lane leave the index of due jobs; an index of leased ones."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

READY = sa.text("state = 'due' AND NOT parked")
LEASED = sa.text("state = 'leased'")
PARKED = sa.text("state = 'due' AND parked")


def upgrade() -> None:
    """Add the column and its index, and replace the index of due jobs."""
    op.add_column(
        "jobs", sa.Column("parked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.drop_index("jobs_due", "jobs")
    op.create_index(
        "jobs_due",
        "jobs",
        ["destination", "due", "id"],
        sqlite_where=READY,
        postgresql_where=READY,
    )
    op.create_index(
        "jobs_parked",
        "jobs",
        ["lane", "id", "destination", "due"],
        sqlite_where=PARKED,
        postgresql_where=PARKED,
    )
    op.create_index("jobs_leased", "jobs", ["owner"], sqlite_where=LEASED, postgresql_where=LEASED)
