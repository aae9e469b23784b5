"""Tables of opt-outs and blocked senders; messages that Textbridge wrote by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

OPEN = sa.text("lifted_at IS NULL")


def upgrade() -> None:
    """Add the tables and the column."""
    op.add_column("messages", sa.Column("automatic", sa.Text(), nullable=True))
    op.create_table(
        "opt_outs",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
        ),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("lifted_at", sa.Float(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lift_reason", sa.Text(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "opt_outs_open",
        "opt_outs",
        ["peer", "number"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index("opt_outs_by_peer", "opt_outs", ["peer", "id"])
    op.create_table(
        "opt_out_flags",
        sa.Column("conversation_id", sa.Text(), primary_key=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.create_table(
        "blocked_senders",
        sa.Column("peer", sa.Text(), primary_key=True),
        sa.Column("number", sa.Text(), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("blocked_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "secret_keys",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
