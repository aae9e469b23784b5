"""The migration to repeat keys: what was stored before it is known again."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from services.core.messages import Message
from services.store import conversations, counters, messages
from services.store.database.schema import conversations as conversation_table
from services.store.database.schema import messages as table
from services.store.database.store import Store
from tests.conftest import NUMBER
from tests.migrating import insert_old_message, upgrade
from tests.store.conftest import inbound, outbound, store_inbound

BEFORE = "0015"
TEXTS = ["hi", "  two\r\n\twords \v", "Grüße 😀", "", "'; --", "\u00a0 no-break", "a\nb"]


def old_store(url: str, folder: Path, *stored: Message) -> Store:
    """A store that has the migration behind it; before, it had these messages."""
    store = Store(url or None, folder)
    with store.engine.connect() as connection:
        upgrade(connection, BEFORE)
        for number, message in enumerate(stored, 1):
            insert_old_message(connection, message, number, fingerprint="f")
        connection.commit()
    store.migrate()
    return store


def test_every_inbound_message_gets_the_key_that_is_computed_for_it_now(
    empty_database: str, tmp_path: Path
) -> None:
    old = [inbound(f"x{n}", text=text, peer=f"O'Reilly {n}") for n, text in enumerate(TEXTS)]
    store = old_store(empty_database, tmp_path, *old, outbound(provider_id="sent"))
    rows = store.read(lambda tx: tx.execute(select(table).order_by(table.c.seq)).all())
    assert [row.repeat_key for row in rows] == [*map(messages.repeat_key, old), None]
    assert {(row.reaction, row.reaction_to) for row in rows} == {(None, None)}
    for message in old:
        assert store_inbound(store, replace(message, id=f"again {message.id}")) is None
        other = replace(message, id=f"other {message.id}", text="other words")
        assert store_inbound(store, other) is not None
    assert store.read(lambda tx: counters.value(tx, "senders reread")) == 0
    store.close()


def test_conversations_with_names_go_on(empty_database: str, tmp_path: Path) -> None:
    group = ("+13035550177", "+13035550178")
    old = [inbound("x1", peer="Harbour Cafe"), inbound("x2", peer=group[0], participants=group)]
    store = old_store(empty_database, tmp_path, *old)

    for number, message in enumerate(old, 1):
        new = store_inbound(store, replace(message, id=f"n{number}", provider_id=f"n{number}"))
        assert new is not None
        assert new.conversation_id == f"c{number}"
    found = store.read(lambda tx: tx.execute(select(conversation_table.c.members)).scalars().all())
    assert sorted(found) == sorted(conversations.members_key(m.recipients) for m in old)
    listed = store.read(
        lambda tx: conversations.page(tx, [NUMBER], limit=5, with_peer=["Harbour C"])
    )
    assert [one.peer for one in listed] == ["Harbour Cafe"]
    store.close()
