"""When a scheduled text is to be sent, and why it waits longer."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

SCHEDULED = sa.text("status = 'scheduled'")


def upgrade() -> None:
    """Add two columns and an index."""
    op.add_column("messages", sa.Column("send_at", sa.Float(), nullable=True))
    op.add_column("messages", sa.Column("waits_because", sa.Text(), nullable=True))
    op.create_index(
        "messages_scheduled",
        "messages",
        ["send_at"],
        sqlite_where=SCHEDULED,
        postgresql_where=SCHEDULED,
    )
