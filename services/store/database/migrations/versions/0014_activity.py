"""Message and push counts by the hour. The worker counts the existing messages."""

import sqlalchemy as sa
from alembic import op

from services.store.database.schema import RowId

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the tables with nothing counted yet."""
    op.create_table(
        "activity",
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "provider", "direction", "status"),
    )
    op.create_table(
        "activity_open",
        sa.Column("seq", RowId, autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "activity_pushes",
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("within", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "within"),
    )
    op.execute("INSERT INTO counters (name, value) VALUES ('counted', 0), ('pushes counted', 0)")
