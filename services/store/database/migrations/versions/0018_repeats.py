"""Repeats are known by sender and words, too; columns for reactions; read quarantine again."""

import hashlib
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

UNIQUE = "messages_provider_provider_id_number_key"  # as PostgreSQL names it
COLUMNS = ("repeat_key", "reaction", "reaction_to")
SPACES = "[ \t\n\r\f\v]+"


def upgrade() -> None:
    """Replace the constraint; SQLite rebuilds the table for this.

    The keys of the messages are computed by the database, in one statement for all of them.
    """
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        _in_sqlite()
        key = "repeat_key(peer, text)"
    else:
        op.drop_constraint(UNIQUE, "messages")
        for name in COLUMNS:
            op.add_column("messages", sa.Column(name, sa.Text(), nullable=True))
        words = f"btrim(regexp_replace(text, '{SPACES}', ' ', 'g'))"
        content = f"convert_to(peer || chr(10) || {words}, 'UTF8')"
        key = f"substr(encode(sha256({content}), 'hex'), 1, 16)"
        _for_older_nodes(key)
    op.execute(f"UPDATE messages SET repeat_key = {key} WHERE direction = 'in'")  # noqa: S608
    op.create_index(
        "messages_once",
        "messages",
        ["provider", "provider_id", "number", "repeat_key"],
        unique=True,
    )
    op.execute(
        "UPDATE conversations SET members = replace(members, ' ', '\u00a0')"
        " WHERE members = peer AND members LIKE '% %'"
    )
    op.execute("INSERT INTO counters (name, value) VALUES ('senders reread', 0)")


def _for_older_nodes(key: str) -> None:
    """Give the messages of nodes that are not upgraded yet their key, so that repeats are dropped.

    It runs before the table has any message without one; SQLite has no other nodes.
    """
    new_row = key.replace("(text,", "(NEW.text,").replace("convert_to(peer", "convert_to(NEW.peer")
    op.execute(
        "CREATE FUNCTION textbridge_repeat_key() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN NEW.repeat_key := {new_row}; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER messages_repeat_key BEFORE INSERT ON messages FOR EACH ROW"
        " WHEN (NEW.direction = 'in' AND NEW.repeat_key IS NULL)"
        " EXECUTE FUNCTION textbridge_repeat_key()"
    )


def _in_sqlite() -> None:
    named = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}
    with op.batch_alter_table("messages", naming_convention=named) as table:
        table.drop_constraint(UNIQUE, type_="unique")
        for name in COLUMNS:
            table.add_column(sa.Column(name, sa.Text(), nullable=True))
    # The trigger was deleted with the old table.
    op.execute(
        "CREATE TRIGGER search_index_forget AFTER DELETE ON messages"
        " BEGIN DELETE FROM search_index WHERE rowid = old.seq; END"
    )
    driver: Any = op.get_bind().connection.driver_connection
    driver.create_function("repeat_key", 2, _key, deterministic=True)


def _key(peer: str, text: str) -> str:
    words = re.sub(SPACES, " ", text).strip(" ")
    return hashlib.sha256(f"{peer}\n{words}".encode()).hexdigest()[:16]
