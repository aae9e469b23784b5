"""The index of the words in messages, with the messages that are there."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from services.store.search import full_text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the index and fill it; a deleted message leaves it by itself."""
    if op.get_bind().dialect.name == "sqlite":
        _in_sqlite()
        full_text.fill(op.get_bind())
    else:
        _in_postgres()


def _in_sqlite() -> None:
    # The words come folded and parted by spaces; the tokenizer has only to leave them alone.
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
    full_text.fill(op.get_bind())
    op.create_index("search_index_by_number", "search_index", ["number", "seq"])
    op.create_index("search_index_by_word", "search_index", ["words"], postgresql_using="gin")
    # Not a foreign key: its locks on messages could meet those of the statuses crosswise.
    op.execute(
        "CREATE FUNCTION search_index_forget() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN DELETE FROM search_index WHERE seq = OLD.seq; RETURN NULL; END'"
    )
    op.execute(
        "CREATE TRIGGER search_index_forget AFTER DELETE ON messages"
        " FOR EACH ROW EXECUTE FUNCTION search_index_forget()"
    )
