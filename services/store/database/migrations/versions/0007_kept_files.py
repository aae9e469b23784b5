"""Index of stored attachments by age."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the index."""
    kept = sa.text("state = 'kept'")
    op.create_index(
        "attachments_kept",
        "attachments",
        ["created_at"],
        sqlite_where=kept,
        postgresql_where=kept,
    )
