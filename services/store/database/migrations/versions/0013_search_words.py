"""SQLite: a table of the words in the search index (FTS5 ``fts5vocab``)."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the virtual table; it stores no data of its own."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_index_words USING fts5vocab(search_index, instance)"
        )
