"""With which message an extension of a group got its turn."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "message_turns",
        sa.Column("message_id", sa.Text(), primary_key=True),
        sa.Column("group_name", sa.Text(), primary_key=True),
        sa.Column("extension", sa.Text(), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
    )
