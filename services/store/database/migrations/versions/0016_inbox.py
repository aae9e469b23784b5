"""Tables of the inbox and of the leases, and the audit counters of the inbox."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables and add the counters."""
    op.create_table(
        "inbox",
        sa.Column("id", RowId, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    for name in ("calls_received", "calls_processed"):
        op.add_column(
            "ledger", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )
