"""A database as an older version has left it."""

from dataclasses import asdict
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, text

from services.core.messages import Message
from services.store.database.migrate import SCRIPTS


def upgrade(connection: Connection, revision: str) -> None:
    """Bring a new database as far as a migration, and no farther."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def insert_old(connection: Connection, name: str, **values: Any) -> None:
    """Insert a row; values of columns that the table does not have yet are left out."""
    table = Table(name, MetaData(), autoload_with=connection)
    known = {column.name for column in table.columns}
    connection.execute(table.insert().values({n: values[n] for n in values if n in known}))


def insert_old_message(connection: Connection, message: Message, seq: int, **changes: Any) -> None:
    """Insert a message with a conversation of its own, as an older version has stored it."""
    values = asdict(message) | {"participants": list(message.participants), "seq": seq}
    values |= {"changed": seq, "conversation_id": f"c{seq}", "last_seq": seq}
    values |= {"members": " ".join(sorted(message.recipients))}
    insert_old(connection, "conversations", **values | {"id": f"c{seq}"})
    insert_old(connection, "messages", **values | changes)
    connection.execute(text("UPDATE counters SET value = :seq WHERE name = 'seq'"), {"seq": seq})
