"""Table of browser sessions of the admin pages."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "sign_ins",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash"),
    )
