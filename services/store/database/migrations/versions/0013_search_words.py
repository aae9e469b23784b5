"""SQLite: the words of the search index in their order, to be counted."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the view of the index; it holds nothing of its own."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search_index_words USING fts5vocab(search_index, instance)"
        )
