"""Verdicts of ``flask why``: each cause, made through the real entrances, gets its own."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click import Command, Context, Group
from flask import Flask
from sqlalchemy import Connection, update

from blueprints.cli import register
from services.core.errors import InvalidWebhook, Kind, SendError
from services.core.messages import DeliveryStatus, Message, Status, WebhookCall
from services.core.quiet_hours import QuietHours
from services.gateway import Gateway
from services.http.client import NotSent
from services.messaging.compose import Reply
from services.operations import verdict_table
from services.operations.verdict_table import ROWS, Who, carrier_code
from services.providers.base import Limits
from services.providers.error_table import Cause
from services.providers.twilio.errors import TABLE as TWILIO
from services.store import (
    assignments,
    blocked_senders,
    circuit_breakers,
    conversation_marks,
    conversations,
    devices,
    job_leasing,
    jobs,
    messages,
    statuses,
    workers,
)
from services.store.assignments import Assignment
from services.store.conversation_marks import ConversationMark
from services.store.database import clock
from services.store.database.schema import messages as message_table
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.mailbox import Mailbox
from tests.fakes.push_services import Answer, NtfyServer
from tests.message_steps import (
    PHONE,
    failing,
    make_due,
    raw_call,
    receive_call,
    receive_text,
    run_due_jobs,
    set_time,
    stored,
    stored_messages,
)

Make = Callable[..., Gateway]
OTHER, THIRD = "+12025550160", "+12025550170"
DESK = {**NUMBER_ENTRY, "emails": ["desk@example.com"]}
ALL_DAY = QuietHours("00:00", "23:59", "UTC")
HELLO = {"name": "Hello", "reply": "We call you back."}


class Desk:
    """An installation with a push service and a mail server, and what is done with it."""

    def __init__(self, make: Make, ntfy: NtfyServer, mailbox: Mailbox) -> None:
        self.make, self.ntfy, self.mailbox = make, ntfy, mailbox
        self.gateway = self.open()

    def open(self, *numbers: dict[str, Any], **env: str) -> Gateway:
        env = {"PUSH_HOSTS": self.ntfy.url, **env}
        self.gateway = self.make(*(numbers or (NUMBER_ENTRY,)), **env)
        self.beat()
        return self.gateway

    def beat(self, ago: float = 0.0) -> None:
        self.gateway.store.write(lambda tx: workers.beat(tx, "w", clock.now(tx) - ago))

    def write(self, work: Callable[[Connection], Any]) -> Any:
        return self.gateway.store.write(work)

    def send(self, *errors: SendError, to: str = PEER, ahead: float = 0.0) -> str:
        """A text that the extension sends; the carrier answers it with these errors."""
        failing(self.gateway, *errors)
        send_at = self.gateway.store.read(clock.now) + ahead if ahead else None
        sent, _ = self.gateway.composer.submit(PHONE, Reply("Yes", to=(to,), send_at=send_at))
        run_due_jobs(self.gateway)
        return sent.id

    def queue(self) -> str:
        """A text that waits for the worker."""
        return self.gateway.composer.submit(PHONE, Reply("Yes", to=(PEER,)))[0].id

    def receipt(self, message_id: str, status: str) -> str:
        call = raw_call(
            self.gateway, json.dumps({"receipt": message_id, "status": status}).encode()
        )
        receive_call(self.gateway, self.gateway.providers["sandbox"], call)
        return message_id

    def receive(self, text: str = "hi", **changes: Any) -> str:
        receive_text(self.gateway, text, **changes)
        run_due_jobs(self.gateway)
        return next(one.id for one in stored_messages(self.gateway) if one.direction == "in")

    def phone(self, channel: str = "ntfy", extension: str = "201") -> str:
        """A phone of the extension; with ``none`` it has notifications off."""
        address = self.ntfy.address if channel == "ntfy" else {}

        def work(tx: Connection) -> str:
            return devices.add(tx, extension, "Phone", channel=channel, address=address)[0].id

        added: str = self.write(work)
        return added

    def release(self, message_id: str, ago: float = 0.0) -> str:
        set_time(self.gateway.store, message_id, ago)
        self.gateway.scheduling.release_due()
        return message_id

    def rules(self, *inbound: dict[str, Any], numbers: list[dict[str, Any]]) -> None:
        document = {"version": 2, "numbers": numbers, "inbound": list(inbound)}
        self.gateway.settings.put_document(json.dumps(document).encode())


@pytest.fixture
def desk(make_gateway: Make) -> Iterator[Desk]:
    with NtfyServer() as ntfy, Mailbox() as mailbox:
        yield Desk(make_gateway, ntfy, mailbox)


def error(kind: Kind, code: str | None = None, wait: float | None = None) -> SendError:
    return SendError("The carrier said no.", kind, code=code, retry_after=wait)


# What goes out


def delivered(desk: Desk) -> str:
    return desk.receipt(desk.send(), "delivered")


def unconfirmed(desk: Desk) -> str:
    sent = desk.send()
    this = update(message_table).where(message_table.c.id == sent)
    desk.write(lambda tx: tx.execute(this.values(updated_at=time.time() - 4000)))
    return sent


def receipts_refused(desk: Desk) -> str:
    sent = desk.send()
    provider = desk.gateway.providers["sandbox"]
    with suppress(InvalidWebhook):
        desk.gateway.receiver.receive(provider, WebhookCall("POST", {}, "token=old", b"{}"))
    return sent


def sending(desk: Desk) -> str:
    queued = desk.queue()

    def begin(tx: Connection) -> None:
        (job,) = job_leasing.lease(tx, "w", "send:sandbox", 1, time.time() + 1)
        jobs.start(tx, job)
        statuses.advance(tx, queued, Status.SENDING)

    desk.write(begin)
    return queued


def no_worker(desk: Desk) -> str:
    desk.beat(ago=60.0)
    return desk.queue()


def carrier_off(desk: Desk) -> str:
    queued = desk.queue()
    del desk.gateway.providers["sandbox"]
    return queued


def over_the_rate(desk: Desk) -> str:
    desk.gateway.providers["sandbox"].number_rate = 0.01
    desk.send()
    return desk.send()


def waits_for_hours(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    this = update(message_table).where(message_table.c.id == waiting)
    desk.write(lambda tx: tx.execute(this.values(waits_because="It is night there.")))
    return waiting


def cancelled(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    desk.gateway.scheduling.cancel(PHONE, waiting)
    return waiting


def stopped(desk: Desk) -> str:
    waiting = desk.queue()
    desk.receive("STOP")
    return waiting


def carrier_knows_opt_out(desk: Desk) -> str:
    desk.gateway.providers["sandbox"].causes = TWILIO.causes  # type: ignore[misc]
    return desk.send(error(Kind.REFUSED, "21610"))


def country(desk: Desk) -> str:
    desk.open(SEND_COUNTRIES="US,GB")
    waiting = desk.send(to="+442071838750", ahead=3600.0)
    desk.open(SEND_COUNTRIES="US")
    return desk.release(waiting)


def carrier_changed(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    desk.gateway.settings.put({**NUMBER_ENTRY, "carrier": "twilio"})
    return desk.release(waiting)


def number_taken(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    desk.gateway.settings.put({**NUMBER_ENTRY, "extensions": ["202"]})
    return desk.release(waiting)


def number_taken_from_queued(desk: Desk) -> str:
    waiting = desk.queue()
    desk.gateway.settings.put({**NUMBER_ENTRY, "extensions": ["202"]})
    run_due_jobs(desk.gateway)
    return waiting


def asked_about(desk: Desk) -> str:
    provider = desk.gateway.providers["sandbox"]
    provider.lookup_seconds = 3600.0  # type: ignore[misc]
    return desk.send(error(Kind.UNKNOWN))


def replaced(desk: Desk) -> str:
    refused = desk.send(error(Kind.REFUSED))
    other = desk.send()
    desk.write(lambda tx: messages.note_replacement(tx, refused, other))
    return refused


def by_code(code: str) -> Callable[[Desk], str]:
    """A text that the carrier refuses with a code of Twilio."""

    def seed(desk: Desk) -> str:
        desk.gateway.providers["sandbox"].causes = TWILIO.causes  # type: ignore[misc]
        return desk.send(error(Kind.REFUSED, code))

    return seed


def failed_later(desk: Desk) -> str:
    """A text that the carrier has accepted, and whose receipt has a code."""
    desk.gateway.providers["sandbox"].causes = TWILIO.causes  # type: ignore[misc]
    sent = desk.send()
    receipt = DeliveryStatus(Status.FAILED, "undelivered", None, sent, PEER, "30003", "It is off.")
    desk.write(lambda tx: statuses.record_status(tx, "sandbox", receipt))
    return sent


def by_cause(cause: Cause) -> Callable[[Desk], str]:
    """A text that the carrier refuses for a cause that Twilio has no code for."""

    def seed(desk: Desk) -> str:
        desk.gateway.providers["sandbox"].causes = {"7": cause}  # type: ignore[misc]
        return desk.send(error(Kind.REFUSED, "7"))

    return seed


def delivered_in_part(desk: Desk) -> str:
    """A group of two, of whom the carrier reports one."""
    desk.gateway.providers["sandbox"].limits = Limits(recipients=10)
    failing(desk.gateway)
    sent, _ = desk.gateway.composer.submit(PHONE, Reply("Yes", to=(PEER, THIRD)))
    run_due_jobs(desk.gateway)
    for peer, status in ((PEER, Status.DELIVERED), (THIRD, Status.FAILED)):
        receipt = DeliveryStatus(status, str(status), None, sent.id, peer, reason="It is off.")
        desk.write(lambda tx, receipt=receipt: statuses.record_status(tx, "sandbox", receipt))
    return sent.id


def answered_by_a_person(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    this = update(message_table).where(message_table.c.id == waiting)
    desk.write(lambda tx: tx.execute(this.values(extension=None)))  # as an automatic answer
    desk.send()
    return desk.release(waiting)


def restored(desk: Desk) -> str:
    waiting = desk.send(ahead=3600.0)
    desk.write(desk.gateway.outcomes.after_restore)
    return waiting


# What comes in


def read(desk: Desk) -> str:
    desk.phone()
    came = desk.receive()
    message = stored(desk.gateway, Message("in", NUMBER, PEER, id=came))
    desk.write(
        lambda tx: conversations.mark_read(tx, "201", message.conversation_id, message.seq, 1)
    )
    return came


def pushed(desk: Desk) -> str:
    desk.phone()
    return desk.receive()


def mailed(desk: Desk) -> str:
    desk.open(DESK, **desk.mailbox.env)
    return desk.receive()


def switched_off(desk: Desk) -> str:
    desk.gateway.settings.put({**NUMBER_ENTRY, "enabled": False})
    return desk.receive()


def without_recipient(desk: Desk) -> str:
    desk.gateway.settings.put({"number": NUMBER, "carrier": "sandbox"})
    return desk.receive()


def only_answered(desk: Desk) -> str:
    desk.rules(HELLO, numbers=[{"number": NUMBER, "carrier": "sandbox"}])
    return desk.receive()


def found_later(desk: Desk) -> str:
    came = desk.receive(number=OTHER)
    desk.gateway.settings.put({**NUMBER_ENTRY, "number": OTHER})
    return came


def blocked(desk: Desk) -> str:
    desk.write(lambda tx: blocked_senders.add(tx, PEER, NUMBER, "201"))
    return desk.receive()


def no_notifications(desk: Desk) -> str:
    desk.phone("none")
    return desk.receive()


def subscription_ended(desk: Desk) -> str:
    phone = desk.phone()
    desk.write(lambda tx: devices.forget_address(tx, phone, "The app was removed."))
    return desk.receive()


def push_answered(*answers: Answer) -> Callable[[Desk], str]:
    def seed(desk: Desk) -> str:
        desk.phone()
        desk.ntfy.answers.extend(answers)
        return desk.receive()

    return seed


def paused(name: str, prepare: Callable[[Desk], str], *, config: bool) -> Callable[[Desk], str]:
    """A text that comes in while nothing goes to a destination."""

    def seed(desk: Desk) -> str:
        came = prepare(desk)
        until = desk.gateway.store.read(clock.now) + 60.0
        reason = "The server said no."
        desk.write(
            lambda tx: [
                circuit_breakers.pause(tx, job.destination, until, reason, config=config)
                for job in jobs.of(tx, came)
                if job.destination.startswith(name)
            ]
        )
        return came

    return seed


def waits_for_files(desk: Desk) -> str:
    desk.phone()
    desk.gateway.channels["ntfy"].waits_for_media = True  # type: ignore[misc]
    desk.gateway.providers["sandbox"].media_headers = lambda *_, **__: {}  # type: ignore[method-assign]

    def down(*_: object, **__: object) -> None:
        raise NotSent("It did not take the connection.")

    desk.gateway.http.request = down  # type: ignore[assignment]
    event = {"id": "1", "from": PEER, "to": NUMBER, "media": ["https://files.example/a.jpg"]}
    call = raw_call(desk.gateway, json.dumps(event).encode())
    receive_call(desk.gateway, desk.gateway.providers["sandbox"], call)
    run_due_jobs(desk.gateway)
    return stored_messages(desk.gateway)[0].id


def addresses_came_later(desk: Desk) -> str:
    """A text that was routed to an extension which the number has no more."""
    came = desk.receive()
    desk.gateway.settings.put({**NUMBER_ENTRY, "extensions": [], "emails": ["desk@example.com"]})
    return came


def mail_under_way(desk: Desk) -> str:
    desk.open({**DESK, "extensions": []}, **desk.mailbox.env)
    receive_text(desk.gateway)
    return stored_messages(desk.gateway)[0].id


def quiet(desk: Desk) -> str:
    phone = desk.phone()
    desk.write(lambda tx: devices.set_quiet_hours(tx, phone, ALL_DAY))
    return desk.receive()


def removed(desk: Desk) -> str:
    phone = desk.phone()
    receive_text(desk.gateway)
    desk.write(lambda tx: devices.revoke(tx, phone))
    run_due_jobs(desk.gateway)
    return stored_messages(desk.gateway)[0].id


def muted(desk: Desk) -> str:
    desk.phone()
    known = stored(desk.gateway, Message("in", NUMBER, PEER, id=desk.receive()))
    mark = ConversationMark("201", known.conversation_id, muted=True)
    desk.write(lambda tx: conversation_marks.put(tx, mark))
    return desk.receive("again")


def owned(desk: Desk) -> str:
    desk.phone("none")
    known = stored(desk.gateway, Message("in", NUMBER, PEER, id=desk.receive()))
    desk.write(lambda tx: assignments.put(tx, Assignment(known.conversation_id, owner="202")))
    return known.id


def number_lost(desk: Desk) -> str:
    desk.phone()
    receive_text(desk.gateway)
    desk.gateway.settings.put({**NUMBER_ENTRY, "extensions": ["202"]})
    run_due_jobs(desk.gateway)
    return stored_messages(desk.gateway)[0].id


def file_lost(desk: Desk) -> str:
    event = {"id": "1", "from": PEER, "to": NUMBER, "media": ["https://elsewhere.example/a.jpg"]}
    call = raw_call(desk.gateway, json.dumps(event).encode())
    desk.phone()
    receive_call(desk.gateway, desk.gateway.providers["sandbox"], call)
    run_due_jobs(desk.gateway)
    return stored_messages(desk.gateway)[0].id


def mail_refused(desk: Desk) -> str:
    desk.open({**DESK, "extensions": []}, **desk.mailbox.env)
    desk.mailbox.refusals.append(b"550 no such user\r\n")
    return desk.receive()


def mail_host_wrong(desk: Desk) -> str:
    desk.open({**DESK, "extensions": []}, **{**desk.mailbox.env, "MAIL_PORT": "1"})
    return desk.receive()


def mail_paused(desk: Desk) -> str:
    desk.open({**DESK, "extensions": []})
    return desk.receive()


def delivery_stopped(desk: Desk) -> str:
    desk.phone()
    receive_text(desk.gateway)
    desk.beat(ago=60.0)
    return stored_messages(desk.gateway)[0].id


def just_came(desk: Desk) -> str:
    desk.phone()
    receive_text(desk.gateway)
    return stored_messages(desk.gateway)[0].id


CAUSES: list[tuple[str, Callable[[Desk], str], Who]] = [
    ("delivered", delivered, Who.RECIPIENT),
    ("delivered_in_part", delivered_in_part, Who.YOU),
    ("answered", answered_by_a_person, Who.NOBODY),
    ("restored", restored, Who.YOU),
    ("carrier_funds", by_cause(Cause.FUNDS), Who.YOU),
    ("carrier_unconfirmed", by_cause(Cause.UNCONFIRMED), Who.CARRIER),
    ("push_paused", paused("push:", just_came, config=True), Who.YOU),
    ("mail_asked_to_wait", paused("email", mail_under_way, config=False), Who.NOBODY),
    ("files_missing", waits_for_files, Who.NOBODY),
    ("nobody_notified", addresses_came_later, Who.YOU),
    ("sent", lambda desk: desk.send(), Who.CARRIER),
    ("sent_unconfirmed", unconfirmed, Who.CARRIER),
    ("receipts_refused", receipts_refused, Who.YOU),
    ("sending", sending, Who.NOBODY),
    ("queued", lambda desk: desk.queue(), Who.NOBODY),
    ("worker_stopped", no_worker, Who.YOU),
    ("carrier_off", carrier_off, Who.YOU),
    ("carrier_paused", lambda desk: desk.send(error(Kind.CONFIG)), Who.YOU),
    ("carrier_asked_to_wait", lambda desk: desk.send(error(Kind.RETRY, wait=60.0)), Who.NOBODY),
    ("sending_limit", over_the_rate, Who.NOBODY),
    ("retrying", lambda desk: desk.send(error(Kind.RETRY)), Who.CARRIER),
    ("quiet_hours", waits_for_hours, Who.NOBODY),
    ("scheduled", lambda desk: desk.send(ahead=3600.0), Who.NOBODY),
    ("cancelled", cancelled, Who.NOBODY),
    ("too_late", lambda desk: desk.release(desk.send(ahead=60.0), 200_000.0), Who.YOU),
    ("opted_out", stopped, Who.RECIPIENT),
    ("country_not_allowed", country, Who.YOU),
    ("number_not_yours", number_taken, Who.YOU),
    ("number_not_yours", number_taken_from_queued, Who.YOU),
    ("not_allowed", carrier_changed, Who.YOU),
    ("unknown", lambda desk: desk.send(error(Kind.UNKNOWN)), Who.YOU),
    ("unknown_being_asked", asked_about, Who.NOBODY),
    ("replaced", replaced, Who.NOBODY),
    ("carrier_opt_out", carrier_knows_opt_out, Who.RECIPIENT),
    ("carrier_number_not_in_use", by_code("30005"), Who.YOU),
    ("carrier_not_mobile", by_code("30006"), Who.RECIPIENT),
    ("carrier_phone_off", failed_later, Who.RECIPIENT),
    ("carrier_recipient_blocks", by_code("30004"), Who.RECIPIENT),
    ("carrier_spam", by_code("30007"), Who.YOU),
    ("carrier_registration", by_code("30034"), Who.YOU),
    ("carrier_sender", by_code("21606"), Who.YOU),
    ("carrier_account", by_code("30002"), Who.YOU),
    ("carrier_credentials", by_code("20003"), Who.YOU),
    ("carrier_country", by_code("21408"), Who.YOU),
    ("carrier_pace", by_code("30022"), Who.YOU),
    ("carrier_content", by_code("21617"), Who.YOU),
    ("carrier_failure", by_code("30008"), Who.CARRIER),
    ("carrier_refused", by_code("99999"), Who.CARRIER),
    ("read", read, Who.NOBODY),
    ("notified", pushed, Who.RECIPIENT),
    ("mailed", mailed, Who.RECIPIENT),
    ("number_unknown", lambda desk: desk.receive(number=OTHER), Who.YOU),
    ("number_disabled", switched_off, Who.YOU),
    ("number_without_recipient", without_recipient, Who.YOU),
    ("rules_give_it_to_nobody", only_answered, Who.YOU),
    ("about_to_be_assigned", found_later, Who.NOBODY),
    ("sender_blocked", blocked, Who.YOU),
    ("no_device", lambda desk: desk.receive(), Who.YOU),
    ("push_off", no_notifications, Who.RECIPIENT),
    ("push_gone", subscription_ended, Who.RECIPIENT),
    ("push_refused", push_answered(Answer(400)), Who.YOU),
    ("push_retrying", push_answered(Answer(503)), Who.NOBODY),
    ("push_asked_to_wait", push_answered(Answer(429)), Who.NOBODY),
    ("device_quiet_hours", quiet, Who.RECIPIENT),
    ("device_removed", removed, Who.YOU),
    ("muted", muted, Who.RECIPIENT),
    ("owner_only", owned, Who.RECIPIENT),
    ("access_lost", number_lost, Who.YOU),
    ("mail_refused", mail_refused, Who.YOU),
    ("mail_retrying", mail_host_wrong, Who.YOU),
    ("mail_paused", mail_paused, Who.YOU),
    ("delivery_stopped", delivery_stopped, Who.YOU),
    ("waiting_for_worker", just_came, Who.NOBODY),
]


@pytest.mark.parametrize(("code", "seed", "who"), CAUSES, ids=[code for code, *_ in CAUSES])
def test_each_cause_has_its_verdict(
    desk: Desk, code: str, seed: Callable[[Desk], str], who: Who
) -> None:
    message_id = seed(desk)
    found = desk.gateway.why.answer(message_id).verdict
    assert (found.code, found.who) == (code, who), found
    assert "{" not in found.sentence + found.next
    assert "–" not in found.sentence, found.sentence
    assert found.sentence.endswith((".", "?")), found.sentence
    assert found.next.endswith((".", "`.")), found.next


def test_the_verdicts_are_the_same_on_each_database(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    gateway.store.write(lambda tx: workers.beat(tx, "w", clock.now(tx)))
    failing(gateway, error(Kind.RETRY))
    sent, _ = gateway.composer.submit(PHONE, Reply("Yes", to=(PEER,)))
    receive_text(gateway)
    run_due_jobs(gateway)
    assert gateway.why.answer(sent.id).verdict.code == "retrying"
    assert gateway.why.answer(stored_messages(gateway)[0].id).verdict.code == "no_device"
    assert gateway.why.find(PEER).messages
    assert gateway.why.find(sent.id).messages == [stored(gateway, sent)]
    assert gateway.why.nothing_found().code == "nothing_found"
    make_due(gateway)
    run_due_jobs(gateway)
    assert gateway.why.answer(sent.id).verdict.code == "sent"
    assert gateway.why.find(f"id-{sent.id}").messages == [stored(gateway, sent)]


def test_a_lost_file_is_said_beside_what_became_of_the_text(desk: Desk) -> None:
    answer = desk.gateway.why.answer(file_lost(desk))
    assert answer.verdict.code == "notified"
    assert [one.code for one in answer.also] == ["file_lost"]


def test_one_phone_that_took_it_hides_no_other_that_did_not(desk: Desk) -> None:
    desk.phone()
    desk.gateway.settings.put({**NUMBER_ENTRY, "emails": ["desk@example.com"]})
    answer = desk.gateway.why.answer(desk.receive())
    assert answer.verdict.code == "notified"
    assert [one.code for one in answer.also] == ["mail_paused"]


def test_every_cause_of_a_carriers_error_has_a_row() -> None:
    assert {carrier_code(cause) for cause in Cause} <= ROWS.keys()


def test_every_command_of_the_table_is_one(desk: Desk) -> None:
    app = Flask("commands")
    register(app, desk.gateway)
    written = [
        command
        for row in ROWS.values()
        for command in re.findall("`flask ([^`]+)`", f"{row.sentence} {row.next}")
    ]
    assert len(written) > 20
    assert [one for one in written if not is_a_command(app.cli, one)] == []


def is_a_command(found: Command, written: str) -> bool:
    """Whether words name a command and options that it has."""
    words = written.split()
    while isinstance(found, Group) and words:
        within = found.get_command(Context(found), words.pop(0))
        if within is None:
            return False
        found = within
    options = {
        name for one in found.params for name in (*one.opts, *one.secondary_opts) if name[0] == "-"
    }
    return all(word in options for word in words if word.startswith("-"))


def test_a_table_with_a_missing_part_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "verdicts.toml"
    file.write_text('out = [{ code = "a", who = "you", sentence = "x" }]\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"verdicts\.toml"):
        verdict_table.load(file)


def test_every_row_of_the_table_has_a_cause_here() -> None:
    """Those about what the carrier says when asked, and about what is not stored, are elsewhere."""
    here = {code for code, *_ in CAUSES}
    beside = (Path(__file__).parent.parent / "cli" / "test_why.py").read_text("utf-8")
    beside += Path(__file__).read_text("utf-8")
    assert [code for code in ROWS if code not in here and f'"{code}"' not in beside] == []
