"""Full-text search index of messages. The worker fills it, see ``services.store.search``."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the empty index and a trigger that removes deleted messages from it."""
    if op.get_bind().dialect.name == "sqlite":
        _in_sqlite()
    else:
        _in_postgres()
    op.execute("INSERT INTO counters (name, value) VALUES ('indexed', 0)")


def _in_sqlite() -> None:
    # The words are normalised and separated by spaces; FTS5 must not change them.
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, detail=none, columnsize=0,"
        " prefix='1 2 3', tokenize=\"ascii tokenchars '+'\")"
    )
    op.execute(
        "CREATE TRIGGER search_index_forget AFTER DELETE ON messages"
        " BEGIN DELETE FROM search_index WHERE rowid = old.seq; END"
    )


def _in_postgres() -> None:
    op.create_table(
        "search_index",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("words", TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("search_index_by_number", "search_index", ["number", "seq"])
    op.create_index("search_index_by_word", "search_index", ["words"], postgresql_using="gin")
    # Not a foreign key: it would lock rows of messages, with a risk of deadlocks.
    op.execute(
        "CREATE FUNCTION search_index_forget() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN DELETE FROM search_index WHERE seq = OLD.seq; RETURN NULL; END'"
    )
    op.execute(
        "CREATE TRIGGER search_index_forget AFTER DELETE ON messages"
        " FOR EACH ROW EXECUTE FUNCTION search_index_forget()"
    )
