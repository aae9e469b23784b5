"""Values that are larger than a database's indexes take, and long texts in the search index."""

import random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from services.store import conversations
from services.store.database.store import Store
from services.store.search import full_text
from tests.conftest import NUMBER
from tests.store.conftest import inbound, store_inbound


def names(count: int) -> tuple[str, ...]:
    """Names that no database can compress."""
    alphabet = [chr(code) for code in range(0x1F300, 0x1F600)]
    generator = random.Random(1)
    return tuple("".join(generator.choices(alphabet, k=95)) for _ in range(count))


def test_a_group_of_many_long_names_is_one_conversation(store: Store) -> None:
    group = names(99)
    first = store_inbound(store, inbound("1", peer=group[0], participants=group))
    again = store_inbound(store, inbound("2", peer=group[1], participants=group[::-1]))
    other = store_inbound(store, inbound("3", peer=group[0], participants=(*group[:98], "x")))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.conversation_id == again.conversation_id != other.conversation_id


def test_members_of_usual_groups_stand_in_full() -> None:
    group = [f"+1303555{index:04}" for index in range(100)]
    assert conversations.members_key(group) == " ".join(group)


def test_values_that_postgresql_can_never_take_are_no_trouble_of_the_database(
    store: Store,
) -> None:
    """Else a worker would try them for ever."""
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no such limit.")
    with pytest.raises(OperationalError, match="too large"):
        store.write(lambda tx: tx.execute(text("SELECT repeat('xx', 1000000000)")))


def test_long_texts_are_indexed_in_small_transactions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_text, "BATCH_CHARACTERS", 30_000)
    for index in range(8):
        store_inbound(store, inbound(str(index), text=f"early{index} " + "a b " * 50_000 + "late"))
    assert store.write(full_text.index) == 3
    while store.read(full_text.is_behind):
        store.write(full_text.index)
    found = store.read(lambda tx: full_text.find(tx, "early7", [NUMBER], limit=9))
    assert len(found.messages) == 1
    found = store.read(lambda tx: full_text.find(tx, "late", [NUMBER], limit=9))
    assert not found.messages


def test_a_text_of_long_ligatures_is_indexed(store: Store) -> None:
    """One letter becomes 18; PostgreSQL takes 1 MB of words."""
    ligatures = " ".join(f"\ufdfa{index}" for index in range(200_000))
    store_inbound(store, inbound("1", text=ligatures))
    store_inbound(store, inbound("2", text="other"))
    while store.read(full_text.is_behind):
        store.write(full_text.index)
    found = store.read(lambda tx: full_text.find(tx, "other", [NUMBER], limit=9))
    assert len(found.messages) == 1
