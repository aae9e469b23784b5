"""The message that replaces one that was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add a column."""
    op.add_column("messages", sa.Column("replaced_by", sa.Text(), nullable=True))
