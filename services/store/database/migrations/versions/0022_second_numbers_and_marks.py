"""The message that another one replaces."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"


def upgrade() -> None:
    """Add a column."""
    op.add_column("messages", sa.Column("instead_of", sa.Text(), nullable=True))
