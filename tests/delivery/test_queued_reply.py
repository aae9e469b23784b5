"""A reply that waits when its author loses the number, or the number is switched off."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from services.core.authors import device_of_address
from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Device, Message, Status
from services.gateway import Gateway
from services.message_settings.file import SettingsFile
from services.messaging.compose import Reply
from services.store import carrier_events
from services.store.carrier_events import CarrierEventKind
from services.store.database.schema import jobs as job_table
from services.store.jobs import JobKind
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    PHONE,
    failing,
    make_due,
    receive_text,
    run_due_jobs,
    stored,
    stored_messages,
)

Make = Callable[..., Gateway]
ADDRESS = "desk@example.com"
BUSY = SendError("Busy.", Kind.RETRY)


def waiting(gateway: Gateway, author: Device = PHONE) -> Message:
    """A reply whose first attempt has failed, so that it waits for the next one."""
    message, _ = gateway.composer.submit(author, Reply(text="On my way", to=(PEER,)))
    run_due_jobs(gateway)
    assert stored(gateway, message).status is Status.SENDING
    return message


def try_again(gateway: Gateway) -> None:
    make_due(gateway)
    run_due_jobs(gateway)


@pytest.mark.parametrize(
    ("change", "told", "why"),
    [
        ({"extensions": ["202"]}, ["202"], ""),
        ({"enabled": False}, [], ": the number is switched off in Message Settings"),
    ],
)
def test_it_is_not_sent_and_those_who_have_the_number_are_told_why(
    make_gateway: Make, receiver: Receiver, change: dict[str, object], told: list[str], why: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    taken = failing(gateway, BUSY)
    message = waiting(gateway)
    gateway.settings.put(NUMBER_ENTRY | change)
    with pytest.raises(RequestRefused):
        gateway.composer.submit(PHONE, Reply(text="Another one", to=(PEER,), sender=NUMBER))
    try_again(gateway)
    assert taken == []
    now = stored(gateway, message)
    assert (now.status, now.error_code) == (Status.FAILED, "number_not_yours")
    assert now.error_reason == (
        f"Extension 201 no longer has {NUMBER}{why}. The message was not sent."
    )
    assert "201" not in [push["data"]["extension"] for push in receiver.pushes]
    pushes = select(job_table.c.target).where(job_table.c.kind == str(JobKind.PUSH))
    queued = gateway.store.read(lambda tx: [row.target for row in tx.execute(pushes)])
    assert queued == [f"webhook:{extension}" for extension in told]


def test_the_carrier_is_not_blamed_and_the_next_message_of_the_number_is_sent(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY | {"extensions": ["201", "202"]})
    taken = failing(gateway)
    first, _ = gateway.composer.submit(PHONE, Reply(text="Mine", to=(PEER,)))
    gateway.composer.submit(Device(id="e", extension="202"), Reply(text="Theirs", to=(PEER,)))
    gateway.settings.put(NUMBER_ENTRY | {"extensions": ["202"]})
    run_due_jobs(gateway)
    assert [each.text for each in taken] == ["Theirs"]
    assert stored(gateway, first).status is Status.FAILED
    events = gateway.store.read(lambda tx: carrier_events.of(tx, "sandbox"))
    assert CarrierEventKind.ERROR not in events


def test_it_is_sent_after_the_number_was_given_back_and_it_was_tried_again(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, BUSY)
    message = waiting(gateway)
    gateway.settings.put(NUMBER_ENTRY | {"enabled": False})
    try_again(gateway)
    gateway.operator_actions.retry(message.id)
    try_again(gateway)
    assert stored(gateway, message).status is Status.FAILED, "it is asked again"
    gateway.settings.put(NUMBER_ENTRY)
    gateway.operator_actions.retry(message.id)
    try_again(gateway)
    assert [each.text for each in taken] == ["On my way"]
    assert stored(gateway, message).status is Status.SENT


def test_an_edit_that_this_process_has_not_seen_yet_counts_for_the_author(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_gateway(NUMBER_ENTRY | {"extensions": ["202"]})
    monkeypatch.setattr(SettingsFile, "fresh_seconds", 3600.0)
    worker.settings.look()  # … and not again within the hour
    web = make_gateway()
    web.settings.put(NUMBER_ENTRY)
    assert not worker.access.extension_may("201", NUMBER)
    taken = failing(worker)
    message, _ = web.composer.submit(PHONE, Reply(text="On my way", to=(PEER,)))
    run_due_jobs(worker)
    assert [each.text for each in taken] == ["On my way"]
    assert stored(worker, message).status is Status.SENT


def test_an_answer_of_an_address_that_lost_the_number_is_not_sent(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY | {"emails": [ADDRESS]})
    taken = failing(gateway, BUSY)
    message = waiting(gateway, device_of_address(ADDRESS))
    gateway.settings.put(NUMBER_ENTRY)
    try_again(gateway)
    now = stored(gateway, message)
    assert (taken, now.status) == ([], Status.FAILED)
    assert f"{ADDRESS} no longer gets the messages of {NUMBER}." in (now.error_reason or "")


def test_an_automatic_answer_of_a_number_that_is_switched_off_is_not_sent(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway)
    answer = Message(
        direction="out",
        number=NUMBER,
        peer=PEER,
        text="We are closed.",
        provider="sandbox",
        status=Status.QUEUED,
    )
    gateway.settings.put(NUMBER_ENTRY | {"enabled": False})
    gateway.store.write(lambda tx: gateway.composer.queue_automatic(tx, answer))
    run_due_jobs(gateway)
    [now] = [one for one in stored_messages(gateway) if one.text == answer.text]
    assert (taken, now.status, now.error_code) == ([], Status.FAILED, "number_not_yours")
    assert now.error_reason == (
        f"{NUMBER} is not in use any more, by Message Settings. The message was not sent."
    )


def test_the_confirmation_of_stop_is_sent_by_a_number_that_is_switched_off(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, BUSY)
    receive_text(gateway, "STOP")
    run_due_jobs(gateway)
    gateway.settings.put(NUMBER_ENTRY | {"enabled": False})
    try_again(gateway)
    assert len(taken) == 1
    assert taken[0].automatic is not None
