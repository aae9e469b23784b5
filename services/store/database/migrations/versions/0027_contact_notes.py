"""A note of each contact."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add a column."""
    op.add_column("contacts", sa.Column("note", sa.Text(), nullable=False, server_default=""))
