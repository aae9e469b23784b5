"""A database as an older version has left it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, insert, select

from services.store.database.migrate import SCRIPTS
from services.store.database.schema import metadata
from services.store.database.store import Store


def upgrade(connection: Connection, revision: str) -> None:
    """Bring a new database as far as a migration, and no farther."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def copy_rows(store: Store, old: Connection) -> None:
    """Put the rows of an up-to-date database into one whose tables have fewer columns.

    The code of today cannot write them: it knows only the tables of today.
    """
    there = MetaData()
    there.reflect(old)
    kept = [
        table
        for table in metadata.sorted_tables
        if table.name in there.tables and table.name != "search_index"
    ]
    with store.engine.connect() as connection:
        for table in kept:
            target = there.tables[table.name]
            shared = [column for column in table.c if column.name in target.c]
            rows = [dict(row._mapping) for row in connection.execute(select(*shared))]
            old.execute(target.delete())
            if rows:
                old.execute(insert(table), rows)
    old.commit()
