"""Messages in the store: once each, in order, any text, unread counts."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, func, select

from services.store import conversations, messages
from services.store.database.schema import messages as table
from services.store.database.store import Store
from tests.store.conftest import inbound, store_inbound


def test_the_same_message_from_eight_threads_at_once_is_kept_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: store_inbound(store, inbound()), range(32)))
    assert len([message for message in kept if message is not None]) == 1
    assert store.read(lambda tx: tx.execute(select(func.count()).select_from(table)).scalar()) == 1


def test_one_carrier_id_for_two_numbers_is_two_messages(store: Store) -> None:
    assert store_inbound(store, inbound()) is not None
    assert store_inbound(store, inbound(number="+12025550101")) is not None


def test_text_of_every_kind_comes_back_as_it_went_in(store: Store) -> None:
    odd = "a\u202eb\u0301 👩‍👩‍👧 \\ ' \" <script> %s ; -- \u2028 €\r\n\t"
    kept = store_inbound(store, inbound(text=odd))
    assert kept is not None
    found = store.read(lambda tx: messages.by_id(tx, kept.id))
    assert found is not None
    assert found.text == odd


def test_unread_messages_are_counted_up_to_a_bound(store: Store) -> None:
    def work(tx: Connection) -> str:
        for number in range(messages.MAX_UNREAD + 2):
            kept = messages.add_inbound(tx, inbound(f"x{number}"))
            assert kept is not None
        return kept.conversation_id

    conversation = store.write(work)
    (latest,) = store.read(lambda tx: messages.page(tx, conversation, limit=1))
    assert unread(store, conversation) == messages.MAX_UNREAD
    store.write(lambda tx: conversations.mark_read(tx, "201", conversation, latest.seq - 2, 1))
    assert unread(store, conversation) == 2
    assert unread(store, conversation, "202") == messages.MAX_UNREAD


def unread(store: Store, conversation: str, extension: str = "201") -> int:
    return store.read(lambda tx: messages.unread(tx, extension, [conversation]))[conversation]
