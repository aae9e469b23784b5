"""Migrations: exactly the declared tables, several processes at once, nothing lost."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.store import messages
from services.store.database.schema import messages as table
from services.store.database.schema import metadata
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from services.store.maintenance import removal
from services.store.search import full_text
from tests.migrating import insert_old_message, upgrade
from tests.store.conftest import add_jobs, inbound, outbound, store_inbound, store_outbound


def test_migrations_make_exactly_the_declared_tables(store: Store) -> None:
    def is_plain(_table: object, name: str | None, *_: object) -> bool:
        """All but the virtual table of SQLite's search, and the tables in which it is kept."""
        return store.engine.dialect.name != "sqlite" or not str(name).startswith("search_index")

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_plain})
        assert compare_metadata(context, metadata) == []


def test_what_was_stored_before_an_index_was_exchanged_is_all_there(
    empty_database: str, tmp_path: Path
) -> None:
    store = Store(empty_database or None, tmp_path)
    with store.engine.connect() as connection:
        upgrade(connection, "0014")
        first, held = (inbound(f"x{n}", text=f"word{n}", peer=f"+1303555010{n}") for n in (1, 2))
        insert_old_message(connection, first, 2)
        insert_old_message(connection, held, 3)
        insert_old_message(connection, outbound(client_id="c1"), 4, fingerprint="f")
        insert_old_message(connection, outbound(peer="+13035550100"), 5, fingerprint="f")
        columns = "id, conversation_id, text, provider_id, client_id, fingerprint, routed"
        stored = text(f"SELECT {columns} FROM messages ORDER BY seq")
        before = connection.execute(stored).all()
        connection.commit()
    store.migrate()
    add_jobs(store, Job(JobKind.PUSH, held.id, "push:webhook"))
    store.write(full_text.index)
    assert store.read(lambda tx: tx.execute(stored).all()) == before
    assert store_inbound(store, first) is None
    assert store.read(lambda tx: messages.by_client_id(tx, "201", "c1")) is not None
    with pytest.raises(IntegrityError):
        store_outbound(store, outbound(client_id="c1"))
    with pytest.raises(IntegrityError):  # its job refers to it
        store.write(lambda tx: tx.execute(table.delete().where(table.c.id == held.id)))
    store.write(lambda tx: removal.remove(tx, [first.id]))
    assert texts_with(store, "word1") == []
    assert texts_with(store, "word2") == ["word2"]
    store.close()


def texts_with(store: Store, word: str) -> list[str]:
    """The texts of the messages that the index has with a word: also of those that are gone."""
    index = "SELECT count(*) FROM search_index"
    kept = store.read(lambda tx: tx.execute(select(func.count()).select_from(table)).scalar())
    assert store.read(lambda tx: tx.execute(text(index)).scalar()) == kept
    found = store.read(lambda tx: full_text.find(tx, word, None, limit=5))
    return [message.text for message in found.messages]


def test_several_processes_may_migrate_at_once(empty_database: str, tmp_path: Path) -> None:
    stores = [Store(empty_database or None, tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.migrate(), stores))
    assert stores[0].read(messages.latest_seq) == 0
    for one in stores:
        one.close()


def test_repeats_at_a_node_that_is_not_upgraded_yet_are_dropped(
    postgres_url: str, tmp_path: Path
) -> None:
    """A node of version 0.1 writes no key, and its workers and servers go on for a while."""
    store = Store(postgres_url, tmp_path)
    first = store_inbound(store, inbound("x1"))
    assert first is not None
    row = store.read(lambda tx: tx.execute(select(table)).one())._asdict()
    old = {name: row[name] for name in row if name not in ("repeat_key", "reaction", "reaction_to")}

    def repeat(provider_id: str, seq: int) -> int:
        values = old | {"id": f"repeat {seq}", "seq": seq, "provider_id": provider_id}
        statement = insert(table).values(values).on_conflict_do_nothing().returning(table.c.seq)
        return len(store.write(lambda tx: tx.execute(statement).all()))

    assert [repeat("x1", 11), repeat("x2", 12), repeat("x2", 13)] == [0, 1, 0]
    keys = store.read(lambda tx: tx.execute(select(table.c.repeat_key)).scalars().all())
    assert keys == [row["repeat_key"]] * 2
    store.close()
