"""An index by which a deleted message is known that another system offers again."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

DELETED_MESSAGES = sa.text("message_id IS NOT NULL")


def upgrade() -> None:
    """Add an index."""
    op.create_index(
        "deletions_by_message",
        "deletions",
        ["message_id"],
        sqlite_where=DELETED_MESSAGES,
        postgresql_where=DELETED_MESSAGES,
    )
