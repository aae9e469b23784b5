"""Receivers that are offline: a slow schedule, the order of a conversation, a mail after a time."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.delivery import outcome
from services.delivery.overdue_mail import OverdueMail
from services.gateway import Gateway
from services.operations import timeline
from services.push.base import PassedOn
from services.push.webhook import SignedWebhook
from services.store import attempts, circuit_breakers, conversations
from services.store.database import clock
from services.store.database.schema import jobs as job_table
from services.store.jobs import HOLD_SECONDS, Job, JobKind
from tests.conftest import NUMBER_ENTRY
from tests.message_steps import jobs_of, make_due, receive_text, run_due_jobs, stored_messages

Make = Callable[..., Gateway]
WEBHOOK = {
    "PUSH_WEBHOOK_URL": "http://127.0.0.1:1/in",
    "PUSH_WEBHOOK_SECRET": "whsec_" + "a" * 42 + "==",
}
MAIL = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": "1", "MAIL_FROM_ADDRESS": "texts@example.com"}
OFFLINE = PushError("No phone of 201 can be reached.", Kind.RETRY, code="480", offline=True)
ENTRY = {**NUMBER_ENTRY, "emails": ["desk@example.com", "boss@example.com"]}


class Phone:
    """What a channel's ``notify`` does in place of a phone."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: PushError | PassedOn | None = OFFLINE
        self.shown: list[str] = []
        monkeypatch.setattr(gateway.channels["webhook"], "notify", self.notify)

    def notify(self, device: Device, notice: Notice) -> PassedOn | None:
        if isinstance(self.answer, PushError):
            raise self.answer
        self.shown.append(notice.message["text"])
        return self.answer


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **WEBHOOK)


@pytest.fixture
def phone(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Phone:
    return Phone(gateway, monkeypatch)


def pushes(gateway: Gateway) -> list[Job]:
    found = [job for one in stored_messages(gateway) for job in jobs_of(gateway, one)]
    return sorted((job for job in found if job.kind is JobKind.PUSH), key=lambda job: job.id)


def age(gateway: Gateway, seconds: float) -> None:
    """Let every job be older, and due."""
    older: dict[Any, Any] = {
        "created_at": job_table.c.created_at - seconds,
        "hold_until": job_table.c.hold_until - seconds,
    }
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(older)))


def test_an_offline_phone_is_tried_slowly_for_a_day_and_pauses_nobody(
    gateway: Gateway, phone: Phone
) -> None:
    receive_text(gateway)
    waits = []
    for passed in (0, 200, 200, 3600):
        age(gateway, passed)
        make_due(gateway)
        run_due_jobs(gateway)
        (job,) = pushes(gateway)
        waits.append(job.due - gateway.store.read(clock.now))
    least, most = outcome.OFFLINE
    for wait, expected in zip(waits, (least, 200, 400, most), strict=True):
        assert 0.7 * expected < wait < 1.3 * expected
    assert gateway.store.read(circuit_breakers.unwell) == []
    assert job.state == "due"
    age(gateway, outcome.GIVE_UP_SECONDS)
    make_due(gateway)
    run_due_jobs(gateway)
    assert [each.state for each in pushes(gateway)] == ["dead"]


def test_a_later_text_does_not_overtake_one_that_waits_for_its_phone(
    gateway: Gateway, phone: Phone
) -> None:
    receive_text(gateway, "one")
    run_due_jobs(gateway)
    phone.answer = None  # the phone is back, and nothing says so
    age(gateway, 1.5 * HOLD_SECONDS)
    receive_text(gateway, "two")
    run_due_jobs(gateway)
    assert phone.shown == []
    make_due(gateway)
    run_due_jobs(gateway)
    assert phone.shown == ["one", "two"]


def test_a_text_that_is_only_passed_on_says_so(gateway: Gateway, phone: Phone) -> None:
    phone.answer = PassedOn("202", "The PBX passes it on.")
    receive_text(gateway)
    run_due_jobs(gateway)
    (job,) = pushes(gateway)
    assert job.state == "done"
    (attempt,) = gateway.store.read(lambda tx: attempts.of(tx, [job.id]))
    assert (attempt.outcome, attempt.code) == (attempts.PASSED_ON, "202")
    known = timeline.load(gateway.store, job.message_id)
    step = timeline.steps(gateway.settings, known)[-1]
    assert step.title == f"Push to 201 by {SignedWebhook.title}: passed on"
    assert (step.said, step.code, step.tone) == ("The PBX passes it on.", "202", "good")


def mails(gateway: Gateway) -> list[str]:
    found = [job for one in stored_messages(gateway) for job in jobs_of(gateway, one)]
    return sorted(job.target for job in found if job.kind is JobKind.EMAIL)


def overdue(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> OverdueMail:
    monkeypatch.setattr(gateway.channels["webhook"], "email_after", 900.0, raising=False)
    return OverdueMail(gateway.store, gateway.access, gateway.channels.values())


def test_a_text_that_no_phone_takes_is_mailed_once_after_the_set_time(
    make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **WEBHOOK, **MAIL)
    Phone(gateway, monkeypatch)
    task = overdue(gateway, monkeypatch)
    receive_text(gateway)
    run_due_jobs(gateway)
    gateway.settings.put(ENTRY)  # the number gets addresses after the text came in
    task.queue_mails()
    assert mails(gateway) == []
    age(gateway, 1000.0)
    task.queue_mails()
    task.queue_mails()
    assert mails(gateway) == ["boss@example.com", "desk@example.com"]


def test_who_gets_every_text_by_mail_gets_no_second_one(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(ENTRY, **WEBHOOK, **MAIL)
    phone = Phone(gateway, monkeypatch)
    task = overdue(gateway, monkeypatch)
    receive_text(gateway)
    run_due_jobs(gateway)
    age(gateway, 1000.0)
    task.queue_mails()
    assert mails(gateway) == ["boss@example.com", "desk@example.com"]
    phone.answer = None
    make_due(gateway)
    run_due_jobs(gateway)
    task.queue_mails()
    assert mails(gateway) == ["boss@example.com", "desk@example.com"]


def test_a_text_that_was_read_in_an_app_is_not_mailed(
    make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, **WEBHOOK, **MAIL)
    Phone(gateway, monkeypatch)
    task = overdue(gateway, monkeypatch)
    receive_text(gateway, "one")
    receive_text(gateway, "two")
    run_due_jobs(gateway)
    read, unread = sorted(stored_messages(gateway), key=lambda one: one.seq)
    gateway.settings.put(ENTRY)
    age(gateway, 1000.0)
    gateway.store.write(
        lambda tx: conversations.mark_read(tx, "201", read.conversation_id, read.seq, 99)
    )
    task.queue_mails()
    mailed = [job for job in jobs_of(gateway, unread) if job.kind is JobKind.EMAIL]
    assert len(mailed) == len(mails(gateway)) == 2
