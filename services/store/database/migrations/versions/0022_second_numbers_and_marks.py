"""The message that another one replaces; conversations muted or pinned for each extension."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("messages", sa.Column("instead_of", sa.Text(), nullable=True))
    op.create_table(
        "conversation_marks",
        sa.Column("extension", sa.Text(), primary_key=True),
        sa.Column(
            "conversation_id", sa.Text(), sa.ForeignKey("conversations.id"), primary_key=True
        ),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.Column("pinned_at", sa.Float(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
    )
    op.create_index("conversation_marks_by_change", "conversation_marks", ["extension", "changed"])
    op.create_index("conversation_marks_by_conversation", "conversation_marks", ["conversation_id"])
