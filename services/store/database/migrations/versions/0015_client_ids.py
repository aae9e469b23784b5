"""Partial index of the client ids of messages: most messages have none."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

NAMED = sa.text("client_id IS NOT NULL")
UNIQUE = "messages_extension_client_id_key"  # as PostgreSQL names it


def upgrade() -> None:
    """Replace the constraint by a partial index; SQLite rebuilds the table for this."""
    op.create_index(
        "messages_by_client_id",
        "messages",
        ["extension", "client_id"],
        unique=True,
        sqlite_where=NAMED,
        postgresql_where=NAMED,
    )
    if op.get_bind().dialect.name == "sqlite":
        _in_sqlite()
    else:
        op.drop_constraint(UNIQUE, "messages")


def _in_sqlite() -> None:
    named = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}
    with op.batch_alter_table("messages", naming_convention=named) as table:
        table.drop_constraint(UNIQUE, type_="unique")
    # The trigger was deleted with the old table.
    op.execute(
        "CREATE TRIGGER search_index_forget AFTER DELETE ON messages"
        " BEGIN DELETE FROM search_index WHERE rowid = old.seq; END"
    )
