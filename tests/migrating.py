"""A database as an older version has left it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.store.database.migrate import SCRIPTS


def upgrade(connection: Connection, revision: str) -> None:
    """Bring a new database as far as a migration, and no farther."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
