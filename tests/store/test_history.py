"""History of another system among the messages, on both databases."""

from dataclasses import replace

from sqlalchemy import Connection

from services.core.messages import Attachment, Message, Status, derived_uuid7
from services.store import conversations, history, messages
from services.store.database.store import Store
from services.store.maintenance import invariants
from services.store.maintenance.invariant_violations import Violation
from tests.conftest import NUMBER, PEER
from tests.store.conftest import inbound, store_inbound


def old(key: int, **changes: object) -> Message:
    fields: dict[str, object] = {
        "number": NUMBER, "peer": PEER, "text": f"text {key}", "provider": "sandbox"
    } | changes  # fmt: skip
    direction = fields.pop("direction", "in")
    at = 1_700_000_000.0 + key
    same = {"id": derived_uuid7(at, key), "created_at": at, "updated_at": at}
    return Message(direction=direction, **same, **fields)  # type: ignore[arg-type]


def add(store: Store, *new: Message) -> int:
    return store.write(lambda tx: history.add(tx, new, lambda _: ["201"]))


def unread(store: Store) -> int:
    return store.read(lambda tx: messages.unread_total(tx, "201", [NUMBER]))


def violations(store: Store) -> list[Violation]:
    return store.read(invariants.check).violations()


def test_history_is_stored_once_and_is_read(store: Store) -> None:
    sent = old(2, direction="out", status=Status.SENT, extension="201")
    picture = Attachment(state="failed", reason="gone")
    new = [old(1), sent, old(3, media=(picture,)), old(4, text="Liked “text 3”")]
    assert add(store, *new) == 4
    assert add(store, *new, old(5)) == 1
    found = store.read(lambda tx: messages.find(tx, limit=10))
    assert [one.text for one in reversed(found)] == [
        "text 1", "text 2", "text 3", "Liked “text 3”", "text 5"
    ]  # fmt: skip
    assert found[1].reaction_to == new[2].id
    assert found[2].media[0].reason == "gone"
    assert unread(store) == 0
    assert violations(store) == []


def test_a_text_that_its_carrier_has_given_twice_is_known(store: Store) -> None:
    live = inbound("c-1")
    assert store_inbound(store, live) is not None
    before = violations(store)  # it did not come in by a call
    assert add(store, old(1, text="hi", provider_id="c-1"), old(2, provider_id="c-2")) == 1
    assert violations(store) == before
    assert unread(store) == 2  # the live one was not read, and must not be overlooked


def test_a_repeat_alone_leaves_no_conversation_behind(store: Store) -> None:
    first = old(1, provider_id="c-1")
    add(store, first)
    twin = replace(first, id=derived_uuid7(1.0, "twin"), peer=PEER)
    assert add(store, twin) == 0
    assert len(store.read(lambda tx: conversations.page(tx, [NUMBER], limit=9))) == 1
    assert violations(store) == []


def test_open_apps_load_anew_and_nothing_has_a_job(store: Store) -> None:
    before = store.read(messages.latest_seq)
    add(store, old(1))

    def read(tx: Connection) -> int:
        return history.counters.value(tx, history.counters.RESET) or 0

    assert store.read(read) > before
    assert store.read(read) <= store.read(messages.latest_seq)


def test_what_is_known_is_told(store: Store) -> None:
    add(store, old(1), old(2))
    wanted = [old(1).id, old(9).id]
    assert store.read(lambda tx: history.known(tx, wanted)) == {old(1).id}
    assert store.read(lambda tx: history.known(tx, [])) == set()
    after = store.read(lambda tx: history.texts_after(tx, NUMBER, PEER, 1_700_000_001.5))
    assert after == ["text 2"]
