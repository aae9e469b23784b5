"""Retention: messages removed by age or for one person, with all that belongs to them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from services.core.durations import DAY
from services.core.messages import Attachment, Device, Message, Status, WebhookCall, uuid7
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations.housekeeping import index_messages
from services.operations.retention import Ages
from services.store import (
    attachments,
    carrier_events,
    circuit_breakers,
    contacts,
    conversations,
    counters,
    devices,
    external_threads,
    job_leasing,
    jobs,
    messages,
    quarantine,
)
from services.store.carrier_events import CarrierEventKind
from services.store.contacts import Contact
from services.store.database.schema import metadata
from services.store.jobs import Job, JobKind
from services.store.maintenance import pruning, removal
from services.store.maintenance.pruning import NO_LONGER_KEPT
from services.store.search import full_text
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, changes

OTHER = "+13035550188"
DEVICE = Device(id="none", extension="201")
YEAR = 365 * DAY
OLD = Ages(messages=time.time() - YEAR)
HOME = (
    "ledger",
    "sightings",
    "counters",
    "message_settings",
    "workers",
    "destinations",
    "paces",
)


@pytest.fixture
def gateway(database: str, make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database)


def receive_text(gateway: Gateway, text: str = "hi", *, days: float = 0.0, **more: Any) -> Message:
    """A text that came so many days ago, with nothing left to do for it."""
    return all_came(gateway, [(text, more)], days=days)[0]


def all_came(
    gateway: Gateway, texts: list[tuple[str, dict[str, Any]]], *, days: float = 0.0
) -> list[Message]:
    at = time.time() - days * DAY
    table = metadata.tables["attachments"]

    def work(tx: Connection) -> list[Message]:
        kept = []
        for text, more in texts:
            fields = {"number": NUMBER, "peer": PEER, "provider": "sandbox", **more}
            fields |= {"provider_id": uuid7(), "text": text, "created_at": at}
            message = messages.add_inbound(tx, Message(direction="in", **fields))
            assert message is not None
            kept.append(message)
        ids = [file.id for message in kept for file in message.media]
        tx.execute(update(table).where(table.c.id.in_(ids)).values(created_at=at))
        return kept

    return gateway.store.write(work)


def picture(gateway: Gateway, content: bytes = b"GIF89a, a picture") -> Attachment:
    raw = Attachment(name="cat.gif", content_type="image/gif", content=content)
    return gateway.media.save_received(raw, 1_000_000)


def rows(gateway: Gateway) -> dict[str, int]:
    """How many rows each table has that holds what people have written."""

    def work(tx: Connection) -> dict[str, int]:
        return {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in HOME
        }

    return {name: count for name, count in gateway.store.read(work).items() if count}


def all_gone(gateway: Gateway, ages: Ages = OLD) -> int:
    """Prune until nothing is left to prune; returns in how many batches."""
    batches = 1
    while gateway.retention.prune(ages).more:
        batches += 1
    return batches


def with_everything(gateway: Gateway, days: float, peer: str = PEER) -> Message:
    """A text with a file, a done job, a receipt, words in the index, a read mark and a thread."""
    message = receive_text(
        gateway, "a rare wombat", days=days, peer=peer, media=(picture(gateway),)
    )

    def work(tx: Connection) -> None:
        jobs.add(tx, [Job(JobKind.EMAIL, message.id, "email", target="a@example.com")])
        [job] = job_leasing.lease(tx, "w", "email", 1, time.time() + 1)
        jobs.done(tx, job)
        receipts = metadata.tables["receipts"]
        values = {"provider": "sandbox", "provider_id": uuid7(), "message_id": message.id}
        values |= {"peer": peer, "event": "sent", "status": "sent", "at": 1.0, "received_at": 1.0}
        tx.execute(receipts.insert().values(values))
        conversations.mark_read(
            tx, "201", message.conversation_id, message.seq, messages.next_seq(tx)
        )
        external_threads.put(tx, "sip", "t", "201", message.conversation_id, message.seq)

    gateway.store.write(work)
    index_messages(gateway.store)
    return message


def test_an_old_message_goes_with_everything_that_belongs_to_it(gateway: Gateway) -> None:
    message = with_everything(gateway, days=400)
    path = gateway.media.open(message.media[0].id)
    assert len(rows(gateway)) == 8
    all_gone(gateway)
    assert rows(gateway) == {}
    assert not path.exists()
    assert gateway.store.read(lambda tx: full_text.find(tx, "wombat", None, limit=9)).messages == []


def test_what_is_young_stays_and_the_conversation_with_it(gateway: Gateway) -> None:
    old = receive_text(gateway, "old", days=400)
    young = receive_text(gateway, "young", days=300)
    all_gone(gateway)
    left = gateway.store.read(lambda tx: messages.page(tx, young.conversation_id, limit=9))
    assert [message.text for message in left] == ["young"]
    assert old.conversation_id == young.conversation_id
    receive_text(gateway, "newer")
    found = gateway.store.read(lambda tx: conversations.page(tx, [NUMBER], limit=9))
    assert [one.id for one in found] == [young.conversation_id]


def schedule(gateway: Gateway, text: str = "later") -> Message:
    reply = Reply(text, to=(PEER,), send_at=time.time() + 3600)
    return gateway.composer.submit(DEVICE, reply)[0]


def test_scheduled_texts_stop_no_deletion_of_what_came_after_them(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "SCAN_LIMIT", 2)
    scheduled = {schedule(gateway).id, schedule(gateway).id}
    receive_text(gateway, days=400)
    all_gone(gateway)
    left = gateway.store.read(lambda tx: messages.find(tx, limit=9))
    assert {message.id for message in left} == scheduled


def test_a_conversation_with_a_scheduled_text_alone_is_placed_by_it(gateway: Gateway) -> None:
    receive_text(gateway, days=400)
    later = schedule(gateway)
    receive_text(gateway, days=400)
    all_gone(gateway)
    [kept] = gateway.store.read(lambda tx: conversations.page(tx, [NUMBER], limit=9))
    assert (kept.last_seq, kept.updated_at) == (later.seq, later.created_at)


def test_what_forget_deletes_does_not_wait(gateway: Gateway) -> None:
    schedule(gateway)
    assert gateway.retention.person(PEER).waiting == 0


def test_a_message_with_something_still_to_do_stays(gateway: Gateway) -> None:
    first = receive_text(gateway, "first", days=400)
    newest = receive_text(gateway, "newest", days=399)
    job = Job(JobKind.PUSH, first.id, "push:webhook", target="webhook:201", about="received")
    gateway.store.write(lambda tx: jobs.add(tx, [job]))
    assert gateway.retention.outdated(OLD).waiting == 1
    all_gone(gateway)
    [kept] = gateway.store.read(lambda tx: conversations.page(tx, [NUMBER], limit=9))
    assert kept.last_seq == first.seq < newest.seq, "the list shows what is there"

    def die(tx: Connection) -> None:
        [claimed] = job_leasing.lease(tx, "w", "push:webhook", 1, time.time() + 1)
        jobs.give_up(tx, claimed, "gone")

    gateway.store.write(die)
    assert gateway.retention.outdated(OLD).given_up == 1
    all_gone(gateway)
    assert rows(gateway) == {}


def test_many_go_in_small_batches_and_nobody_waits(gateway: Gateway) -> None:
    peers = [f"+1303555{index % 20:04}" for index in range(2 * removal.BATCH + 10)]
    all_came(gateway, [(f"text of {peer}", {"peer": peer}) for peer in peers], days=400)
    receive_text(gateway, "stays")
    gateway.retention.prune(OLD)
    assert rows(gateway)["messages"] == removal.BATCH + 11
    assert all_gone(gateway) == 2
    assert rows(gateway) == {"messages": 1, "conversations": 1}


def test_the_dry_run_counts_what_then_goes(gateway: Gateway) -> None:
    with_everything(gateway, days=400)
    receive_text(gateway, "unrouted", days=400, peer=OTHER, routed=False)
    receive_text(gateway, "stays", peer=OTHER)
    before = rows(gateway)
    found = gateway.retention.outdated(OLD)
    assert (found.messages, found.conversations, found.unrouted) == (2, 1, 1)
    assert (found.files, found.bytes) == (1, len(b"GIF89a, a picture"))
    assert rows(gateway) == before
    all_gone(gateway)
    after = rows(gateway)
    assert before["messages"] - after["messages"] == found.messages
    assert before["conversations"] - after["conversations"] == found.conversations


def test_old_files_go_and_their_messages_say_so(gateway: Gateway) -> None:
    old = receive_text(gateway, "look", days=100, media=(picture(gateway),))
    young = receive_text(gateway, "and this", days=10, media=(picture(gateway),))
    ages = Ages(files=time.time() - 90 * DAY)
    assert gateway.retention.outdated(ages).files == 1
    all_gone(gateway, ages)
    told = gateway.store.read(lambda tx: messages.by_id(tx, old.id))
    assert told is not None
    assert told.text == "look"
    assert [(file.state, file.reason) for file in told.media] == [("failed", NO_LONGER_KEPT)]
    assert list((gateway.environment.service.storage_path / "media").glob("*/*")) == [
        gateway.media.open(young.media[0].id)
    ]


def test_old_quarantine_and_revoked_devices_go_too(gateway: Gateway) -> None:
    def work(tx: Connection) -> None:
        call = WebhookCall("POST", {}, "", b"odd")
        for _ in range(2):
            quarantine.add(tx, "sandbox", call, "odd", b"odd")
        for name in ("old", "new"):
            device, _ = devices.add(tx, "201", name)
            devices.revoke(tx, device.id)
        table = metadata.tables["quarantine"]
        tx.execute(update(table).where(table.c.id == 1).values(received_at=1.0))
        table = metadata.tables["devices"]
        tx.execute(update(table).where(table.c.name == "old").values(revoked_at=1.0))

    gateway.store.write(work)
    all_gone(gateway)
    assert rows(gateway) == {"quarantine": 1, "devices": 1}


def test_the_worker_prunes_by_the_environment(
    database: str, make_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.operations.retention.PAUSE_SECONDS", 0.0)
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, KEEP_MESSAGES_DAYS="30")
    all_came(gateway, [(f"old {index}", {}) for index in range(removal.BATCH + 1)], days=31)
    receive_text(gateway, "young", days=29)
    with gateway.new_worker() as worker:
        for _ in range(2):
            worker.step()
            worker.finish(lambda: None)
    assert rows(gateway)["messages"] == 1


def test_without_an_age_nothing_goes(gateway: Gateway) -> None:
    receive_text(gateway, "ancient", days=9999)
    assert gateway.retention.ages() == Ages()
    assert not gateway.retention.prune(gateway.retention.ages()).more
    assert rows(gateway) == {"messages": 1, "conversations": 1}


def test_an_interrupted_removal_is_done_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = receive_text(gateway, days=400, media=(picture(gateway),))

    def cut(*_: object) -> int:
        raise RuntimeError("the power")

    with monkeypatch.context() as broken:
        broken.setattr(removal, "remove", cut)
        with pytest.raises(RuntimeError):
            gateway.retention.prune(OLD)
    assert gateway.store.read(lambda tx: messages.by_id(tx, message.id)) is not None
    all_gone(gateway)
    assert rows(gateway) == {}


# One person


def group_of(gateway: Gateway, sender: str, text: str) -> Message:
    return receive_text(gateway, text, peer=sender, participants=(PEER, OTHER))


def test_a_person_is_forgotten_and_nobody_else(gateway: Gateway) -> None:
    with_everything(gateway, days=3)
    receive_text(gateway, "of another", peer=OTHER)
    group_of(gateway, PEER, "theirs in the group")
    other = group_of(gateway, OTHER, "another's in the group")
    newest = group_of(gateway, PEER, "theirs again")

    def work(tx: Connection) -> None:
        contacts.put(tx, Contact(PEER, "Ann"))
        contacts.put(tx, Contact(OTHER, "Bob"))
        carrier_events.put(tx, "sandbox", CarrierEventKind.ERROR, f"4720 {PEER} is not in service.")
        circuit_breakers.pause(tx, "email", time.time(), f"{PEER} is odd", config=False)
        body = b'{"from": "(303) 555-0177"'
        for content in (body, b"from=%2B13035550177", b"of +13035550188"):
            quarantine.add(tx, "sandbox", WebhookCall("POST", {}, "", content), "odd", content)

    gateway.store.write(work)
    known = gateway.retention.person(PEER)
    assert (len(known.messages), known.groups, len(known.quarantined)) == (3, 1, 2)
    assert gateway.retention.forget(PEER, known) == 3

    left = gateway.store.read(lambda tx: messages.find(tx, limit=9))
    assert [message.text for message in left] == ["another's in the group", "of another"]
    found = gateway.store.read(lambda tx: conversations.page(tx, [NUMBER], limit=9))
    assert [one.last_seq for one in found if one.participants] == [other.seq]
    assert newest.seq > other.seq
    assert gateway.store.read(contacts.all_contacts) == [Contact(OTHER, "Bob")]
    assert rows(gateway) == {"messages": 2, "conversations": 2, "contacts": 1, "quarantine": 1}
    assert gateway.retention.person(PEER).messages == ()
    seen = gateway.store.read(lambda tx: carrier_events.of(tx, "sandbox"))
    assert seen[CarrierEventKind.ERROR].detail == "4720 … is not in service."
    [pause] = gateway.store.read(circuit_breakers.unwell)
    assert pause.reason == "… is odd"


def test_group_messages_stay_when_the_first_member_is_removed(gateway: Gateway) -> None:
    group_of(gateway, OTHER, "hello all")
    sent, _ = gateway.composer.submit(DEVICE, Reply(text="hello", to=(PEER, OTHER)))
    done(gateway)
    gateway.retention.forget(PEER, gateway.retention.person(PEER))
    assert gateway.store.read(lambda tx: messages.by_id(tx, sent.id)) is not None


def test_what_is_scheduled_to_a_group_of_the_person_is_cancelled(gateway: Gateway) -> None:
    later = time.time() + 3600
    to_group, to_other = (
        gateway.composer.submit(DEVICE, Reply(text="later", to=to, send_at=later))[0]
        for to in ((PEER, OTHER), (OTHER,))
    )
    known = gateway.retention.person(PEER)
    assert (known.messages, known.scheduled) == ((), 1)
    gateway.retention.forget(PEER, known)
    found = gateway.store.read(
        lambda tx: [messages.by_id(tx, one.id) for one in (to_group, to_other)]
    )
    assert [(one.status, one.error_code) for one in found if one is not None] == [
        (Status.CANCELLED, "person_forgotten"),
        (Status.SCHEDULED, None),
    ]
    assert gateway.audit.check(thorough=True) == []


def done(gateway: Gateway) -> None:
    table = metadata.tables["jobs"]
    gateway.store.write(lambda tx: tx.execute(update(table).values(state="done")))


def test_apps_that_knew_a_forgotten_person_load_anew(gateway: Gateway) -> None:
    device, _ = gateway.store.write(lambda tx: devices.add(tx, "201", "phone"))
    receive_text(gateway)
    before = gateway.store.read(messages.latest_seq)
    seen = changes(gateway).since(device, before, 10)
    assert seen is not None
    assert not seen.reset
    gateway.retention.forget(PEER, gateway.retention.person(PEER))
    anew = changes(gateway).since(device, before, 10)
    assert anew is not None
    assert anew.reset
    receive_text(gateway, "next", peer=OTHER)
    after = changes(gateway).since(device, anew.next, 10)
    assert after is not None
    assert not after.reset
    assert [event["message"]["text"] for event in after.events] == ["next"]


def test_pruning_does_not_make_apps_load_anew(gateway: Gateway) -> None:
    device, _ = gateway.store.write(lambda tx: devices.add(tx, "201", "phone"))
    receive_text(gateway, days=400)
    before = gateway.store.read(messages.latest_seq)
    receive_text(gateway, "new")
    all_gone(gateway)
    found = changes(gateway).since(device, before, 10)
    assert found is not None
    assert not found.reset
    assert [event["message"]["text"] for event in found.events] == ["new"]


def test_nothing_of_a_forgotten_person_is_left_in_sqlites_files(
    tmp_path: Path, make_gateway: Callable[..., Gateway]
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    for turn in range(3):  # several times, so that the index has several parts
        texts = [(f"of another, number {index}", {"peer": OTHER}) for index in range(100)]
        texts += [(f"quokkas {turn} " + "x" * 3000 * (index % 3), {}) for index in range(100)]
        all_came(gateway, texts)
        index_messages(gateway.store)
    file = tmp_path / "textbridge.db"
    assert b"quokkas" in file.read_bytes() + file.with_name("textbridge.db-wal").read_bytes()
    gateway.retention.forget(PEER, gateway.retention.person(PEER))
    assert gateway.store.rewrite_files()
    for path in tmp_path.glob("textbridge.db*"):
        content = path.read_bytes()
        assert b"uokkas" not in content, path
        assert PEER.encode() not in content, path
    assert gateway.store.read(lambda tx: full_text.find(tx, "another", None, limit=1)).messages


def test_the_mark_of_a_reset_is_no_message_number_that_was_given_out(gateway: Gateway) -> None:
    receive_text(gateway)
    gateway.retention.forget(PEER, gateway.retention.person(PEER))
    marked = gateway.store.read(lambda tx: counters.value(tx, counters.RESET))
    assert marked == gateway.store.read(messages.latest_seq)
    assert gateway.store.read(lambda tx: attachments.by_id(tx, "none")) is None
