"""An extension or address that has lost a number: nothing that waits for it is delivered."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from services.core.messages import Message
from services.core.quiet_hours import QuietHours
from services.gateway import Gateway
from services.store import circuit_breakers, conversations, devices, jobs, messages
from services.store.database.schema import jobs as job_table
from services.store.jobs import Job, JobKind
from tests.conftest import NUMBER, PEER
from tests.fakes.mailbox import Mailbox
from tests.fakes.push_services import Answer, NtfyServer
from tests.fakes.receiver import Receiver
from tests.message_steps import receive_call

Make = Callable[..., Gateway]
DESK = {
    "number": NUMBER,
    "carrier": "sandbox",
    "extensions": ["201", "202"],
    "emails": ["desk@example.com", "boss@example.com"],
}
OTHER = {"number": "+12025550188", "carrier": "sandbox", "extensions": ["201"]}
ALL_DAY = QuietHours("00:00", "23:59", "UTC")
LOST = f"Extension 201 no longer has {NUMBER}."
LOST_MAIL = f"desk@example.com no longer gets the messages of {NUMBER}."


@pytest.fixture
def ntfy() -> Iterator[NtfyServer]:
    with NtfyServer() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def gateway(
    make_gateway: Make, database: str, ntfy: NtfyServer, mailbox: Mailbox, receiver: Receiver
) -> Gateway:
    """The service on either database, with a push service, a mail server and an app's server."""
    return make_gateway(
        DESK,
        OTHER,
        DATABASE_URL=database,
        PUSH_HOSTS=ntfy.url,
        **mailbox.env,
        **receiver.env,
    )


def add_phone(gateway: Gateway, ntfy: NtfyServer, quiet: QuietHours | None = None) -> str:
    """A phone of 201 at the push service; returns its id."""

    def work(tx: Connection) -> str:
        device, _ = devices.add(tx, "201", "Phone", channel="ntfy", address=ntfy.address)
        devices.set_quiet_hours(tx, device.id, quiet)
        return device.id

    return gateway.store.write(work)


def receive(gateway: Gateway, text: str = "hi", number: str = NUMBER) -> None:
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=number, peer=PEER, text=text)
    receive_call(gateway, provider, provider.example(message))


def deliver(gateway: Gateway) -> None:
    """Make everything due and perform it."""

    def make_due(tx: Connection) -> None:
        past = time.time() - 1.0  # the database's clock is measured, to some milliseconds
        tx.execute(update(job_table).where(job_table.c.state == "due").values(due=past))
        circuit_breakers.resume_all(tx)

    gateway.store.write(make_due)
    gateway.delivery.deliver("w", lambda _: 16, gateway.delivery.perform)
    gateway.delivery.finish()


def all_jobs(gateway: Gateway, kind: JobKind, target: str) -> list[Job]:
    statement = select(job_table).where(job_table.c.kind == str(kind)).order_by(job_table.c.id)
    found = gateway.store.read(lambda tx: [jobs.load(row) for row in tx.execute(statement)])
    return [job for job in found if job.target == target]


def take_from_201(gateway: Gateway, **changes: Any) -> None:
    """Give the number to 202 and to the boss alone."""
    entry = DESK | {"extensions": ["202"], "emails": ["boss@example.com"]} | changes
    gateway.settings.put(entry)


def test_what_waits_in_quiet_hours_is_given_up(gateway: Gateway, ntfy: NtfyServer) -> None:
    phone = add_phone(gateway, ntfy, ALL_DAY)
    receive(gateway)
    deliver(gateway)
    assert all_jobs(gateway, JobKind.PUSH, phone)[0].error == "Quiet hours."
    take_from_201(gateway)
    gateway.store.write(lambda tx: devices.set_quiet_hours(tx, phone, None))  # the morning
    deliver(gateway)
    [job] = all_jobs(gateway, JobKind.PUSH, phone)
    assert (job.state, job.error) == ("dead", LOST)
    assert ntfy.calls == 0
    known = gateway.store.read(lambda tx: devices.by_id(tx, phone))
    assert known is not None
    assert known.last_error is None, "nothing is wrong with the phone"
    assert gateway.audit.check(thorough=True) == []


def test_a_push_that_is_tried_again_asks_again(gateway: Gateway, ntfy: NtfyServer) -> None:
    phone = add_phone(gateway, ntfy)
    ntfy.answers.append(Answer(500))
    receive(gateway)
    deliver(gateway)
    assert (ntfy.calls, all_jobs(gateway, JobKind.PUSH, phone)[0].state) == (1, "due")
    take_from_201(gateway)
    deliver(gateway)
    [job] = all_jobs(gateway, JobKind.PUSH, phone)
    assert (job.state, job.error, ntfy.calls) == ("dead", LOST, 1)
    assert gateway.audit.check(thorough=True) == []


def test_a_dead_letter_that_is_retried_asks_again(gateway: Gateway, ntfy: NtfyServer) -> None:
    phone = add_phone(gateway, ntfy)
    ntfy.answers.append(Answer(403))
    receive(gateway)
    deliver(gateway)
    [job] = all_jobs(gateway, JobKind.PUSH, phone)
    assert (job.state, ntfy.calls) == ("dead", 1)
    take_from_201(gateway)
    for one_by_one in (True, False):
        if one_by_one:
            gateway.operator_actions.retry(job.message_id)
        else:
            gateway.operator_actions.retry_all(JobKind.PUSH)
        deliver(gateway)
        [job] = all_jobs(gateway, JobKind.PUSH, phone)
        assert (job.state, job.error, ntfy.calls) == ("dead", LOST, 1)
    gateway.settings.put(DESK)
    gateway.operator_actions.retry(job.message_id)
    deliver(gateway)
    assert (all_jobs(gateway, JobKind.PUSH, phone)[0].state, ntfy.calls) == ("done", 2)
    assert gateway.audit.check(thorough=True) == []


def test_a_push_that_a_worker_has_looked_up_already_asks_again(
    gateway: Gateway, ntfy: NtfyServer
) -> None:
    phone = add_phone(gateway, ntfy)
    receive(gateway)
    receive(gateway, number=OTHER["number"])
    leased: list[Job] = []
    gateway.delivery.deliver("w", lambda _: 16, leased.append)
    mine = sorted((job for job in leased if job.target == phone), key=lambda job: job.id)
    gateway.delivery.perform(mine[1])  # reads what all of them need
    take_from_201(gateway)
    gateway.delivery.perform(mine[0])
    gateway.delivery.finish()
    states = [(job.state, job.error) for job in all_jobs(gateway, JobKind.PUSH, phone)]
    assert states == [("dead", LOST), ("done", None)]
    assert ntfy.calls == 1


def test_a_whole_channel_is_pushed_for_those_who_have_the_number(
    gateway: Gateway, receiver: Receiver
) -> None:
    receive(gateway, "before")
    take_from_201(gateway)
    deliver(gateway)
    assert [push["data"]["extension"] for push in receiver.pushes] == ["202"]
    [job] = all_jobs(gateway, JobKind.PUSH, "webhook:201")
    assert (job.state, job.error) == ("dead", LOST)
    receive(gateway, "after")
    deliver(gateway)
    assert [push["data"]["extension"] for push in receiver.pushes] == ["202", "202"]
    assert len(all_jobs(gateway, JobKind.PUSH, "webhook:201")) == 1


@pytest.mark.parametrize("changes", [{}, {"enabled": False}])
def test_a_mail_asks_again(gateway: Gateway, mailbox: Mailbox, changes: dict[str, Any]) -> None:
    mailbox.refusals += [b"451 later\r\n"] * 2
    receive(gateway)
    deliver(gateway)
    assert {job.state for job in all_jobs(gateway, JobKind.EMAIL, "desk@example.com")} == {"due"}
    take_from_201(gateway, **changes)
    deliver(gateway)
    [job] = all_jobs(gateway, JobKind.EMAIL, "desk@example.com")
    off = ": the number is switched off in Message Settings." if changes else "."
    assert (job.state, job.error) == ("dead", LOST_MAIL.removesuffix(".") + off)
    assert [mail["To"] for mail in mailbox.mails] == ([] if changes else ["boss@example.com"])
    gateway.operator_actions.retry_all(JobKind.EMAIL)
    deliver(gateway)
    assert all_jobs(gateway, JobKind.EMAIL, "desk@example.com")[0].state == "dead"
    assert gateway.audit.check(thorough=True) == []


def test_an_address_that_is_written_in_another_case_keeps_its_mails(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    receive(gateway)
    gateway.settings.put(DESK | {"emails": ["Desk@Example.com"]})
    deliver(gateway)
    assert [mail["To"] for mail in mailbox.mails] == ["desk@example.com"]


def test_a_number_that_is_switched_off_reports_no_status(gateway: Gateway) -> None:
    receive(gateway)
    [message] = gateway.store.read(lambda tx: messages.find(tx, limit=1))
    assert gateway.router.update_jobs(message, "media")
    gateway.settings.put(DESK | {"enabled": False})
    assert gateway.router.update_jobs(message, "media") == []


def test_a_read_mark_of_a_lost_number_is_told_to_nobody(
    gateway: Gateway, ntfy: NtfyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add_phone(gateway, ntfy), add_phone(gateway, ntfy)
    monkeypatch.setattr(type(gateway.channels["ntfy"]), "wants_read_events", True)
    receive(gateway)
    [message] = gateway.store.read(lambda tx: messages.find(tx, limit=1))
    reader = gateway.store.read(lambda tx: devices.by_id(tx, first))
    assert reader is not None

    def read(tx: Connection) -> int:
        gateway.router.notify_read(tx, reader, message.conversation_id, message.seq)
        assert conversations.by_id(tx, message.conversation_id, [NUMBER]) is not None
        return sum(job.about == "read" for job in jobs.of(tx, message.id))

    take_from_201(gateway)
    assert gateway.store.write(read) == 0
    gateway.settings.put(DESK)
    assert gateway.store.write(read) == 1
    assert second
