"""The inbox: what is acknowledged is processed once, in order, whatever fails in between."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select

from services.core.errors import StorageUnwell
from services.core.keywords import Keyword
from services.core.messages import Attachment, Message, WebhookCall
from services.gateway import Gateway
from services.messaging import process
from services.messaging.derived_ids import with_derived_ids
from services.messaging.store_parts import CallParts, PartStore
from services.store import conversations, inbox, quarantine
from services.store.database.schema import attachments as attachments_table
from services.store.database.schema import conversations as conversations_table
from services.store.database.schema import inbox as table
from services.store.database.schema import jobs as jobs_table
from services.store.database.schema import messages as messages_table
from services.store.inbox import InboxCall
from services.store.maintenance import invariants
from services.store.maintenance.invariants import Invariant
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.message_steps import fail_with_text, receive_call, stored_messages, webhook_call

Make = Callable[..., Gateway]
BANDWIDTH = {
    "BANDWIDTH_ACCOUNT_ID": "9",
    "BANDWIDTH_API_TOKEN": "t",
    "BANDWIDTH_API_SECRET": "s",
    "BANDWIDTH_MESSAGE_BASE_URL": "https://messaging.bandwidth.com/api/v2",
    "BANDWIDTH_APPLICATION_ID": "a",
}


def raise_unwell(*_: object) -> None:
    raise StorageUnwell("The disk is full.")


def append(gateway: Gateway, text: str, **changes: Any) -> None:
    """What the web process does with a call."""
    provider = gateway.providers["sandbox"]
    gateway.receiver.receive(provider, webhook_call(gateway, text, **changes))


def texts(gateway: Gateway) -> list[str]:
    """The texts in the order in which they were stored."""
    return [message.text for message in reversed(stored_messages(gateway))]


def waiting(gateway: Gateway) -> int:
    return gateway.store.read(inbox.count)


def add_files_to_pictures(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every text with the word “picture” a file that must be stored first."""
    provider = gateway.providers["sandbox"]
    parse = provider.parse

    def with_file(call: WebhookCall) -> Any:
        for part in parse(call):
            assert isinstance(part, Message)
            file = Attachment(content=b"GIF89a", name="a.gif")
            yield replace(part, media=(file,)) if "picture" in part.text else part

    monkeypatch.setattr(provider, "parse", with_file)


def missing(gateway: Gateway, invariant: Invariant) -> int:
    return gateway.store.read(invariants.check).missing[invariant]


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database)


def test_a_call_is_acknowledged_before_anything_of_it_is_read(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = gateway.providers["sandbox"]

    def unwanted(*_: object) -> None:
        raise AssertionError("This is for the worker.")

    with monkeypatch.context() as patched:
        patched.setattr(provider, "parse", unwanted)
        patched.setattr(gateway.settings, "for_number", unwanted)
        append(gateway, "hi")
    assert (waiting(gateway), texts(gateway)) == (1, [])
    gateway.processor.process_all()
    assert (waiting(gateway), texts(gateway)) == (0, ["hi"])


def test_no_secret_of_a_call_is_stored(gateway: Gateway) -> None:
    provider = gateway.providers["sandbox"]
    call = webhook_call(gateway, "hi")
    token = provider.webhook_token
    for query in (f"token={token}&a=1", f"a=1&t%6Fken={token}", f"token={token}"):
        headers = {**call.headers, "authorization": "Basic c2VjcmV0", "cookie": "c2VjcmV0"}
        gateway.receiver.receive(provider, WebhookCall("POST", headers, query, call.body))
    rows = gateway.store.read(lambda tx: tx.execute(select(table)).all())
    assert len(rows) == 3
    assert token not in str(rows)
    assert "c2VjcmV0" not in str(rows)
    assert [row.query for row in rows] == ["a=1", "a=1", ""]


def test_a_batch_keeps_the_order_and_drops_repeats(gateway: Gateway) -> None:
    provider = gateway.providers["sandbox"]
    calls = [webhook_call(gateway, f"text {index}") for index in (1, 2, 3)]
    for index in (0, 1, 0, 2, 1):
        gateway.receiver.receive(provider, calls[index])
    gateway.processor.process_batch(gateway.processor.lease_names)
    assert texts(gateway) == ["text 1", "text 2", "text 3"]
    found = gateway.store.read(invariants.check)
    assert not found.violations()


def test_a_repeat_leaves_the_conversation_as_it_was(gateway: Gateway) -> None:
    calls = [webhook_call(gateway, f"text {index}") for index in (1, 2)]
    for call in (*calls, calls[0]):
        receive_call(gateway, gateway.providers["sandbox"], call)
    newest = stored_messages(gateway)[0]
    (kept,) = gateway.store.read(lambda tx: conversations.page(tx, [newest.number], limit=9))
    assert (kept.last_seq, kept.updated_at) == (newest.seq, newest.created_at)


def test_a_batch_that_fails_is_processed_later(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(gateway, "one")
    append(gateway, "two")

    def fail(*_: object) -> None:
        raise StorageUnwell("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr("services.store.messages.add_all_inbound", fail)
        with pytest.raises(StorageUnwell):
            gateway.processor.process_all()
    assert (waiting(gateway), texts(gateway)) == (2, [])
    gateway.processor.process_all()
    assert (waiting(gateway), texts(gateway)) == (0, ["one", "two"])
    assert missing(gateway, Invariant.INBOX) == 0


def test_a_call_with_which_we_have_a_fault_holds_up_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with_text(monkeypatch, "two")
    for text in ("one", "two", "three"):
        append(gateway, text)
    gateway.processor.process_all()
    assert texts(gateway) == ["one", "three"]
    (kept,) = gateway.store.read(quarantine.waiting)
    assert "ZeroDivisionError" in kept.reason
    assert b"two" in kept.body
    assert missing(gateway, Invariant.INBOX) == 0


def test_what_a_parser_cannot_bear_is_kept_as_unreadable(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = gateway.providers["sandbox"]
    parse = provider.parse

    def break_at_two(call: WebhookCall) -> Any:
        if b"two" in call.body:
            raise KeyError("from")
        return parse(call)

    with monkeypatch.context() as patched:
        patched.setattr(provider, "parse", break_at_two)
        for text in ("one", "two"):
            append(gateway, text)
        gateway.processor.process_all()
    assert texts(gateway) == ["one"]
    (kept,) = gateway.store.read(quarantine.waiting)
    assert [outcome for outcome, _ in gateway.replay.replay(kept.id)] == ["received"]
    assert texts(gateway) == ["one", "two"]


def test_calls_of_a_carrier_that_was_switched_off_are_kept_as_unreadable(gateway: Gateway) -> None:
    call = webhook_call(gateway, "hi")
    gateway.store.write(lambda tx: inbox.add(tx, "bandwidth", call))
    gateway.processor.process_batch(["sandbox"])
    assert waiting(gateway) == 1
    gateway.processor.process_all()
    assert waiting(gateway) == 0
    (kept,) = gateway.store.read(quarantine.waiting)
    assert (kept.provider, "not configured any more" in kept.reason) == ("bandwidth", True)


def test_only_calls_of_leased_carriers_are_processed(gateway: Gateway) -> None:
    append(gateway, "hi")
    gateway.processor.process_batch([])
    gateway.processor.process_batch([process.OTHERS])
    assert waiting(gateway) == 1


def test_a_message_has_the_time_at_which_its_call_was_received(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.inbox.time.time", lambda: 1_700_000_000.25)
    append(gateway, "hi")
    monkeypatch.undo()
    gateway.processor.process_all()
    assert stored_messages(gateway)[0].created_at == 1_700_000_000.25


def test_files_that_cannot_be_stored_hold_up_no_other_call(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_files_to_pictures(gateway, monkeypatch)
    monkeypatch.setattr(process, "FILES_RETRY_SECONDS", 0.0)
    for text in ("picture", "text"):
        append(gateway, text)
    with monkeypatch.context() as patched:
        patched.setattr(gateway.media, "save_received", raise_unwell)
        gateway.processor.process_batch(gateway.processor.lease_names)
    assert (waiting(gateway), texts(gateway)) == (1, ["text"])
    gateway.processor.process_all()
    assert texts(gateway) == ["text", "picture"]
    assert stored_messages(gateway)[0].media[0].state == "kept"


def test_large_calls_are_processed_in_small_batches(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_BYTES", 1500)
    for index in range(4):
        append(gateway, f"{index}" * 600)
    gateway.processor.process_batch(gateway.processor.lease_names)
    assert waiting(gateway) == 2
    gateway.processor.process_all()
    assert [text[0] for text in texts(gateway)] == ["0", "1", "2", "3"]


def test_a_call_that_is_gone_from_the_inbox_is_not_processed_again(gateway: Gateway) -> None:
    """The answer to the commit was lost: the batch is read, and its rows are gone meanwhile."""
    append(gateway, "hi")
    rows = gateway.store.read(lambda tx: inbox.oldest(tx, ["sandbox"], calls=9, size=10_000))
    gateway.processor.process_all()
    gateway.processor._store([gateway.processor._parse(row) for row in rows])
    assert texts(gateway) == ["hi"]
    assert not gateway.store.read(invariants.check).violations()


def test_an_unreadable_part_is_kept_and_the_others_go_on(make_gateway: Make) -> None:
    gateway = make_gateway(
        {**NUMBER_ENTRY, "carrier": "bandwidth"},
        **BANDWIDTH,
    )
    provider = gateway.providers["bandwidth"]
    call = provider.example(Message("in", NUMBER, "+13035550177", text="good"))
    (event,) = json.loads(call.body)
    body = json.dumps([{"type": "message-received", "message": 5}, event]).encode()
    receive_call(gateway, provider, WebhookCall(call.method, call.headers, call.query, body))
    assert texts(gateway) == ["good"]
    (kept,) = gateway.store.read(quarantine.waiting)
    assert json.loads(kept.body) == {"type": "message-received", "message": 5}


def events_of(gateway: Gateway, *texts_of_events: str, number: str = NUMBER) -> Any:
    """Events of Bandwidth with these texts, each with an id of its own."""
    provider = gateway.providers["bandwidth"]
    messages_of_events = (
        Message("in", number, "+13035550177", text=text, provider_id=f"id-{index}")
        for index, text in enumerate(texts_of_events)
    )
    calls = (provider.example(message) for message in messages_of_events)
    return [event for call in calls for event in json.loads(call.body)]


def append_events(gateway: Gateway, events: Any) -> None:
    """One call of Bandwidth with a list of events."""
    provider = gateway.providers["bandwidth"]
    call = provider.example(Message("in", NUMBER, "+13035550177", text="x"))
    body = json.dumps(events).encode()
    gateway.receiver.receive(provider, WebhookCall(call.method, call.headers, call.query, body))


@pytest.fixture
def bandwidth_gateway(make_gateway: Make, database: str) -> Gateway:
    entry = {**NUMBER_ENTRY, "carrier": "bandwidth"}
    return make_gateway(entry, DATABASE_URL=database, **BANDWIDTH)


def test_a_call_with_many_parts_is_stored_in_several_transactions(
    bandwidth_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers wait for the length of one transaction, however many events a call has."""
    gateway = bandwidth_gateway
    monkeypatch.setattr(process, "MOST_PARTS", 3)
    events = events_of(gateway, *(f"text {index}" for index in range(10)))
    append_events(gateway, [*events[:5], {"type": "message-received"}, *events[5:]])
    stored: list[int] = []
    store = PartStore.store

    def count(self: PartStore, tx: Any, calls: Sequence[CallParts], *rest: Any) -> Any:
        stored.append(sum(len(call.parts) for call in calls))
        return store(self, tx, calls, *rest)

    monkeypatch.setattr(PartStore, "store", count)
    with monkeypatch.context() as patched:  # interrupted between two transactions
        patched.setattr("services.store.inbox.remove", raise_unwell)
        with pytest.raises(StorageUnwell):
            gateway.processor.process_all()
    assert waiting(gateway) == 1
    gateway.processor.process_all()
    assert max(stored) == 3
    assert texts(gateway) == [f"text {index}" for index in range(10)]
    (kept,) = gateway.store.read(quarantine.waiting)
    assert json.loads(kept.body) == {"type": "message-received"}
    assert not gateway.store.read(invariants.check).violations()


def test_calls_with_several_parts_fill_a_transaction_sooner(
    bandwidth_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = bandwidth_gateway
    monkeypatch.setattr(process, "MOST_PARTS", 4)
    events = events_of(gateway, *(f"text {index}" for index in range(9)))
    for at in range(0, 9, 3):
        append_events(gateway, events[at : at + 3])
    processed = gateway.processor.process_batch(gateway.processor.lease_names)
    assert (len(texts(gateway)), waiting(gateway), processed.more) == (3, 2, True)
    gateway.processor.process_all()
    assert texts(gateway) == [f"text {index}" for index in range(9)]


def test_a_call_full_of_unreadable_parts_is_kept_once(bandwidth_gateway: Gateway) -> None:
    gateway = bandwidth_gateway
    append_events(gateway, [*range(500), *events_of(gateway, "good")])
    append_events(gateway, events_of(gateway, *("bad number",) * 500, number="+++"))
    gateway.processor.process_all()
    assert texts(gateway) == ["good"]
    first, second = gateway.store.read(quarantine.waiting)
    assert first.reason == "500 parts cannot be read. The first one: “event” is not an object."
    assert json.loads(first.body)[:500] == list(range(500))
    assert "500 parts cannot be read. The first one: “+++” is not" in second.reason
    assert not gateway.store.read(invariants.check).violations()


def test_a_call_that_cannot_even_be_kept_as_unreadable_holds_up_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    parse = gateway.providers["sandbox"].parse
    monkeypatch.setattr(
        gateway.providers["sandbox"],
        "parse",
        lambda call: fail() if b"two" in call.body else parse(call),
    )
    monkeypatch.setattr("services.store.quarantine.add", fail)
    for text in ("one", "two", "three"):
        append(gateway, text)
    gateway.processor.process_batch(gateway.processor.lease_names)
    append(gateway, "four")
    gateway.processor.process_batch(gateway.processor.lease_names)
    assert (waiting(gateway), texts(gateway)) == (1, ["one", "three", "four"])


def test_many_calls_whose_files_cannot_be_stored_hold_up_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls with files at the head of the inbox do not hold up those behind them."""
    add_files_to_pictures(gateway, monkeypatch)
    monkeypatch.setattr(process, "MOST_CALLS", 6)
    for index in range(12):
        append(gateway, f"picture {index}")
    append(gateway, "text")
    begun: list[Callable[[], object]] = []
    for _ in range(3):
        gateway.processor.process_batch(gateway.processor.lease_names, spawn=begun.append)
    assert (waiting(gateway), texts(gateway)) == (12, ["text"])
    while waiting(gateway):
        assert 0 < len(begun) <= process.MOST_WITH_FILES
        for work in begun.copy():
            begun.remove(work)
            work()
        for _ in range(3):
            gateway.processor.process_batch(gateway.processor.lease_names, spawn=begun.append)
    assert texts(gateway) == ["text", *(f"picture {index}" for index in range(12))]


def test_a_fault_with_the_files_of_a_call_makes_it_unreadable(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the worker would begin it again and again."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        add_files_to_pictures(gateway, patched)
        patched.setattr(gateway.media, "save_received", fail)
        append(gateway, "picture")
        gateway.processor.process_batch(gateway.processor.lease_names)
    assert waiting(gateway) == 0
    (kept,) = gateway.store.read(quarantine.waiting)
    assert "ZeroDivisionError" in kept.reason
    assert [outcome for outcome, _ in gateway.replay.replay(kept.id)] == ["received"]


def test_a_call_that_is_processed_again_after_a_power_failure_has_the_same_ids(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processing waits for no fsync: a push that was sent before is repeated with its id."""
    add_files_to_pictures(gateway, monkeypatch)
    for text in ("hi", "hi again", "picture"):
        append(gateway, text)
    on_disk = gateway.store.read(lambda tx: list(map(dict, tx.execute(select(table)).mappings())))
    gateway.processor.process_all()
    before = stored_messages(gateway)

    def undo(tx: Connection) -> None:
        for one in (jobs_table, attachments_table, messages_table, conversations_table):
            tx.execute(delete(one))
        tx.execute(table.insert(), on_disk)

    gateway.store.write(undo)
    gateway.processor.process_all()
    after = stored_messages(gateway)
    assert [message.id for message in after] == [message.id for message in before]
    assert {message.conversation_id for message in after} == {before[0].conversation_id}
    assert [file.id for one in after for file in one.media] == [
        file.id for one in before for file in one.media
    ]
    assert len({message.id for message in after}) == 3


@pytest.mark.parametrize(
    ("text", "opt_out", "durable"),
    [
        ("we stop at 5", None, False),
        ("Stop.", None, True),
        ("START", None, True),
        ("hello", Keyword.STOP, True),
    ],
)
def test_what_an_opt_out_tells_is_on_the_disk_before_work_goes_on(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    opt_out: Keyword | None,
    durable: bool,
) -> None:
    """A send that begins after a power failure must not come before the STOP is read again."""
    provider, write = gateway.providers["sandbox"], gateway.store.write
    parse = provider.parse
    monkeypatch.setattr(
        provider, "parse", lambda call: [replace(part, opt_out=opt_out) for part in parse(call)]
    )
    written: list[bool] = []

    def noting(work: Any, *, durable: bool = True) -> Any:
        written.append(durable)
        return write(work, durable=durable)

    append(gateway, "hi")
    append(gateway, text)
    monkeypatch.setattr(gateway.store, "write", noting)
    gateway.processor.process_all()
    assert written == [durable]


def test_texts_of_one_call_with_one_id_have_files_of_their_own(gateway: Gateway) -> None:
    """Bandwidth and others give every message an id; a carrier's fault must not lose a file."""
    file = Attachment(source_url="https://example.com/a.jpg")
    texts = [
        Message("in", NUMBER, "+13035550199", text=text, provider_id="p1", media=(file,))
        for text in ("one", "two")
    ]
    row = InboxCall(7, "sandbox", webhook_call(gateway), 1e9)
    derived = [with_derived_ids(row, text) for text in texts]
    assert derived == [with_derived_ids(row, text) for text in texts]
    ids = {one.id for text in derived if isinstance(text, Message) for one in (text, *text.media)}
    assert len(ids) == 4


def test_texts_without_an_id_and_with_other_files_are_two(gateway: Gateway) -> None:
    row = InboxCall(7, "sandbox", webhook_call(gateway), 1e9)
    first, second = (
        with_derived_ids(
            row, Message("in", NUMBER, "+13035550199", media=(Attachment(source_url=url),))
        )
        for url in ("https://example.com/1", "https://example.com/2")
    )
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.id != second.id
