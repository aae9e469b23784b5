"""Bulk sends: one text to a set of recipients, each by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

NAMED = sa.text("client_id IS NOT NULL")
IN_BULK = sa.text("bulk_send_id IS NOT NULL")
BULK_QUEUED = sa.text("bulk_send_id IS NOT NULL AND status IN ('queued', 'sending')")


def upgrade() -> None:
    """Add two tables, and a column of messages with its indexes."""
    op.create_table(
        "bulk_sends",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("send_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("cancelled_at", sa.Float(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
    )
    op.create_index(
        "bulk_sends_by_client_id",
        "bulk_sends",
        ["extension", "client_id"],
        unique=True,
        sqlite_where=NAMED,
        postgresql_where=NAMED,
    )
    op.create_table(
        "bulk_left_out",
        sa.Column("bulk_send_id", sa.Text(), sa.ForeignKey("bulk_sends.id"), primary_key=True),
        sa.Column("line", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_index("bulk_left_out_by_number", "bulk_left_out", ["number"])
    op.add_column("messages", sa.Column("bulk_send_id", sa.Text(), nullable=True))
    op.create_index(
        "messages_by_bulk_send",
        "messages",
        ["bulk_send_id", "id"],
        sqlite_where=IN_BULK,
        postgresql_where=IN_BULK,
    )
    op.create_index(
        "messages_bulk_queued",
        "messages",
        ["provider"],
        sqlite_where=BULK_QUEUED,
        postgresql_where=BULK_QUEUED,
    )
