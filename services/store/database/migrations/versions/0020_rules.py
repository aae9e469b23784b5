"""The rule that decided about a message; automatic answers; who owns a conversation, and done."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add a column and three tables."""
    op.add_column("messages", sa.Column("rule", sa.Text(), nullable=True))
    op.create_table(
        "automatic_answers",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("automatic_answers_by_peer", "automatic_answers", ["peer", "at"])
    op.create_index("automatic_answers_by_time", "automatic_answers", ["at"])
    op.create_table(
        "assignments",
        sa.Column(
            "conversation_id", sa.Text(), sa.ForeignKey("conversations.id"), primary_key=True
        ),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("owned_at", sa.Float(), nullable=True),
        sa.Column("done_at", sa.Float(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
    )
    op.create_index("assignments_by_owner", "assignments", ["owner"])
    op.create_table(
        "group_turns",
        sa.Column("group_name", sa.Text(), primary_key=True),
        sa.Column("extension", sa.Text(), nullable=False),
    )
