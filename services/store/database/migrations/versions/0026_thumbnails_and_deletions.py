"""Size and thumbnail of a picture; what was deleted in apps."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

DELETED_IDS = sa.text("provider_id IS NOT NULL")
DELETED_NAMED = sa.text("client_id IS NOT NULL")


def upgrade() -> None:
    """Add columns and a table."""
    op.add_column("attachments", sa.Column("width", sa.Integer()))
    op.add_column("attachments", sa.Column("height", sa.Integer()))
    op.add_column("attachments", sa.Column("thumbnail", sa.Text()))
    op.create_table(
        "deletions",
        sa.Column("changed", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("provider_id", sa.Text()),
        sa.Column("repeat_key", sa.Text()),
        sa.Column("extension", sa.Text()),
        sa.Column("client_id", sa.Text()),
    )
    op.create_index("deletions_by_number", "deletions", ["number", "changed"])
    op.create_index(
        "deletions_by_carrier_id",
        "deletions",
        ["provider_id"],
        sqlite_where=DELETED_IDS,
        postgresql_where=DELETED_IDS,
    )
    op.create_index(
        "deletions_by_client_id",
        "deletions",
        ["extension", "client_id"],
        sqlite_where=DELETED_NAMED,
        postgresql_where=DELETED_NAMED,
    )
