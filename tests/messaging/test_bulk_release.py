"""Texts of bulk sends at their time: at the carrier's pace, behind replies, never to opted-out."""

from typing import Any

import pytest
from sqlalchemy import Connection, update

from services.core.errors import Kind, SendError
from services.core.messages import Message, Status
from services.gateway import Gateway
from services.message_settings import NumberSetting
from services.messaging.bulk_recipients import recipient
from services.messaging.bulk_release import MOST_QUEUED
from services.messaging.bulk_sending import BulkRequest
from services.messaging.compose import Reply
from services.store import bulk_sends, opt_outs
from services.store.bulk_sends import BulkSend
from services.store.database.schema import messages as message_table
from services.store.database.schema import paces
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import PHONE, Make, failing, make_due, receive_text, run_due_jobs
from tests.messaging.test_scheduling import closed_now

OTHERS = [f"+1303555{number:04}" for number in range(100, 130)]


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database, BULK_SENDING="true")


def make(gateway: Gateway, *numbers: str, **asked: Any) -> BulkSend:
    listed = tuple(recipient(line, number, {}) for line, number in enumerate(numbers, 1))
    request = BulkRequest("Closed", asked.pop("text", "bulk"), listed, **asked)
    return gateway.bulk_sending.create("201", request, "extension 201")[0]


def release(gateway: Gateway) -> None:
    """Release what the pace allows now."""
    while gateway.bulk_release.release_due():
        pass


def after_a_while(gateway: Gateway) -> None:
    """As ``release``, as if enough time had passed for more texts."""
    gateway.store.write(lambda tx: tx.execute(paces.delete()))
    release(gateway)


def states(gateway: Gateway, made: BulkSend) -> dict[Status, int]:
    return gateway.store.read(lambda tx: bulk_sends.counts(tx, [made.id]))[made.id]


def texts(gateway: Gateway, made: BulkSend) -> list[Message]:
    return gateway.store.read(lambda tx: bulk_sends.texts(tx, made.id))


def test_they_are_sent_in_their_order_at_half_of_the_rate_of_the_number(gateway: Gateway) -> None:
    taken = failing(gateway)
    gateway.providers["sandbox"].number_rate = 4.0
    made = make(gateway, *OTHERS[:6])
    release(gateway)
    # Two a second: those of one second, and the next.
    assert states(gateway, made)[Status.QUEUED] == 3
    run_due_jobs(gateway)
    for _ in range(2):
        after_a_while(gateway)
        run_due_jobs(gateway)
    assert [one.peer for one in taken] == OTHERS[:6]
    assert [one.reason for one in gateway.audit.check(thorough=True)] == []


def test_a_reply_passes_at_once(gateway: Gateway) -> None:
    taken = failing(gateway)
    provider = gateway.providers["sandbox"]
    provider.rate, provider.number_rate = 2.0, 100.0
    made = make(gateway, *OTHERS)
    release(gateway)
    gateway.composer.submit(PHONE, Reply("reply", (PEER,)))
    run_due_jobs(gateway)
    # The carrier's limit allows three at once, and a bulk send leaves one of them to others.
    assert sorted(message.text for message in taken) == ["bulk", "bulk", "reply"]
    assert states(gateway, made) == {Status.SENT: 2, Status.SCHEDULED: len(OTHERS) - 2}


def test_only_a_few_wait_at_a_carrier_that_takes_none(gateway: Gateway) -> None:
    provider = gateway.providers["sandbox"]
    provider.number_rate = 1000.0
    taken = failing(gateway, *[SendError("busy", Kind.RETRY)] * MOST_QUEUED)
    made = make(gateway, *OTHERS)
    release(gateway)
    run_due_jobs(gateway)
    release(gateway)
    assert taken == []
    assert states(gateway, made) == {
        Status.SENDING: MOST_QUEUED,  # and wait for their next attempt
        Status.SCHEDULED: len(OTHERS) - MOST_QUEUED,
    }
    while states(gateway, made) != {Status.SENT: len(OTHERS)}:
        make_due(gateway)
        run_due_jobs(gateway)
        release(gateway)
    assert sorted(one.peer for one in taken) == OTHERS


def test_who_opts_out_meanwhile_is_not_texted(gateway: Gateway) -> None:
    taken = failing(gateway)
    made = make(gateway, PEER, *OTHERS[:2])
    receive_text(gateway, "STOP", peer=OTHERS[1])
    receive_text(gateway, "STOP")
    for _ in range(3):
        after_a_while(gateway)
        run_due_jobs(gateway)
    assert [one.peer for one in taken if one.text == "bulk"] == [OTHERS[0]]
    assert states(gateway, made) == {Status.SENT: 1, Status.CANCELLED: 2}
    assert [one.error_code for one in texts(gateway, made)] == ["opted_out", None, "opted_out"]
    assert gateway.store.read(lambda tx: opt_outs.active(tx, NUMBER, [PEER]))


def test_a_queued_text_is_not_sent_after_an_opt_out(gateway: Gateway) -> None:
    taken = failing(gateway)
    made = make(gateway, PEER)
    release(gateway)
    assert states(gateway, made) == {Status.QUEUED: 1}
    receive_text(gateway, "STOP")
    run_due_jobs(gateway)
    assert [one.text for one in taken if one.text == "bulk"] == []


def test_nothing_is_sent_once_the_administrator_has_turned_it_off(make_gateway: Make) -> None:
    made = make(make_gateway(NUMBER_ENTRY, BULK_SENDING="true"), PEER)
    gateway = make_gateway()
    taken = failing(gateway)
    release(gateway)
    run_due_jobs(gateway)
    assert taken == []
    assert [one.error_code for one in texts(gateway, made)] == ["bulk_sending_off"]


def test_a_fault_with_one_text_stops_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = failing(gateway)
    made = make(gateway, *OTHERS[:3])
    right = gateway.checks.checked

    def checked(tx: Connection, setting: NumberSetting, message: Message) -> Message:
        if message.peer == OTHERS[1]:
            raise KeyError(message.peer)
        return right(tx, setting, message)

    monkeypatch.setattr(gateway.checks, "checked", checked)
    for _ in range(4):
        after_a_while(gateway)
        run_due_jobs(gateway)
    assert [one.peer for one in taken] == [OTHERS[0], OTHERS[2]]
    assert [one.error_code for one in texts(gateway, made)] == [None, "fault", None]


def test_the_carrier_that_a_number_has_now_sets_the_pace(gateway: Gateway) -> None:
    """And not that of the time at which the bulk send was made, which may be off by now."""
    made = make(gateway, *OTHERS[:4])
    gateway.store.write(lambda tx: tx.execute(update(message_table).values(provider="gone")))
    release(gateway)
    assert states(gateway, made) == {Status.QUEUED: 1, Status.SCHEDULED: 3}
    gateway.settings.put(NUMBER_ENTRY | {"carrier": "bandwidth"})  # which is not configured
    after_a_while(gateway)
    assert [one.error_code for one in texts(gateway, made)] == [None, *["carrier_off"] * 3]


def test_apps_are_told_of_each_text_that_is_cancelled(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, BULK_SENDING="true", **receiver.env)
    made = make(gateway, *OTHERS[:2])
    gateway.bulk_sending.cancel(made.id, "201", "extension 201")
    run_due_jobs(gateway)
    told = [push["data"]["message"] for push in receiver.pushes]
    assert [(one["to"], one["state"]) for one in told] == [
        ([peer], "cancelled") for peer in OTHERS[:2]
    ]


def test_each_text_waits_for_the_hours_of_its_recipient(make_gateway: Make) -> None:
    gateway = closed_now(make_gateway, BULK_SENDING="true")
    taken = failing(gateway)
    briton = "+442071838750"
    made = make(gateway, briton, PEER)
    release(gateway)
    run_due_jobs(gateway)
    assert [one.peer for one in taken] == [PEER]
    [waits, _] = texts(gateway, made)
    assert (waits.peer, waits.status) == (briton, Status.SCHEDULED)
    assert "Quiet hours in GB" in str(waits.waits_because)


def test_after_a_restored_backup_none_that_was_due_is_sent_again(gateway: Gateway) -> None:
    made = make(gateway, *OTHERS[:3])
    gateway.store.write(gateway.outcomes.after_restore)
    assert states(gateway, made) == {Status.UNKNOWN: 3}


def test_a_person_gets_no_more_than_their_limit(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, BULK_SENDING="true", SEND_PER_PEER_HOUR="1")
    taken = failing(gateway)
    first, second = make(gateway, PEER), make(gateway, PEER, OTHERS[0])
    for _ in range(3):
        after_a_while(gateway)
        run_due_jobs(gateway)
    assert [one.peer for one in taken] == [PEER, OTHERS[0]]
    assert states(gateway, first) == {Status.SENT: 1}
    [refused, _] = texts(gateway, second)
    assert (refused.status, refused.error_code) == (Status.FAILED, "limit_reached")


def test_long_texts_take_the_time_of_their_parts(gateway: Gateway) -> None:
    failing(gateway)
    gateway.providers["sandbox"].number_rate = 4.0
    limit = gateway.providers["sandbox"].limits.text
    made = make(gateway, *OTHERS[:4], text="x" * (2 * limit))
    release(gateway)
    assert states(gateway, made)[Status.QUEUED] == 2
