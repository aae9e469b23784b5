"""Table of failed attempts, and indexes for the operator's message search."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TROUBLED = sa.text("status IN ('failed', 'unknown')")
GROUPS = sa.text("members <> peer")


def upgrade() -> None:
    """Create the table and the indexes."""
    op.create_table(
        "attempts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("attempts_by_job", "attempts", ["job_id", "id"])
    op.create_index("messages_by_number", "messages", ["number", "seq"])
    op.create_index(
        "messages_troubled",
        "messages",
        ["status", "seq"],
        sqlite_where=TROUBLED,
        postgresql_where=TROUBLED,
    )
    op.create_index("conversations_by_peer", "conversations", ["peer"])
    op.create_index(
        "conversations_of_groups",
        "conversations",
        ["id"],
        sqlite_where=GROUPS,
        postgresql_where=GROUPS,
    )
