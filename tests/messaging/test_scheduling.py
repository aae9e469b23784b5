"""Scheduled texts at their time: released once, waiting for the recipient's hours, cancelled."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, update

from services.core.errors import Kind, RequestRefused, SendError, StorageUnwell
from services.core.messages import Message, Notice, Status, message_object
from services.gateway import Gateway
from services.message_settings import NumberSetting
from services.messaging.compose import Reply
from services.operations.retention import Ages
from services.operations.statistics import activity_of, count
from services.push.sip_text import sip_texts
from services.store import activity, conversations, jobs, messages, scheduled
from services.store.database import clock
from services.store.database.schema import messages as message_table
from services.store.jobs import JobKind
from services.store.search import message_filter
from services.store.search.message_filter import MessageFilter
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    PHONE,
    Make,
    failing,
    hours_from_now,
    jobs_of,
    make_due,
    receive_text,
    run_due_jobs,
    set_time,
    stored,
    stored_messages,
)

BRITON = "+442071838750"
DAY = 86_400.0


@pytest.fixture
def gateway(make_gateway: Make, database: str) -> Gateway:
    return make_gateway(NUMBER_ENTRY, DATABASE_URL=database)


def schedule(gateway: Gateway, text: str = "later", *, ahead: float = 3600.0, **asked: Any) -> Any:
    """A text that is to be sent in ``ahead`` seconds."""
    to = asked.pop("to", (PEER,))
    send_at = gateway.store.read(clock.now) + ahead
    reply = Reply(text=text, to=to, send_at=send_at, **asked)
    return gateway.composer.submit(PHONE, reply)[0]


def release(gateway: Gateway) -> None:
    while gateway.scheduling.release_due():
        pass


def texts(taken: list[Message]) -> list[str]:
    return [message.text for message in taken]


def violations(gateway: Gateway, *, thorough: bool = False) -> list[str]:
    return [one.reason for one in gateway.audit.check(thorough=thorough)]


def closed_now(make_gateway: Make, **env: str) -> Gateway:
    """An installation in which it is quiet hours for a person in Britain, for two hours."""
    hours = f"GB {hours_from_now(2, 4)} UTC"
    more = {"SCHEDULED_COUNTRY_HOURS": hours, "SEND_COUNTRIES": "US, GB"}
    return make_gateway(NUMBER_ENTRY, **more, **env)


def test_a_text_is_sent_once_at_its_time_and_stands_where_it_was_sent(gateway: Gateway) -> None:
    taken = failing(gateway)
    later = schedule(gateway)
    assert violations(gateway) == []
    at_once, _ = gateway.composer.submit(PHONE, Reply("now", (PEER,)))
    run_due_jobs(gateway)
    release(gateway)
    assert texts(taken) == ["now"]
    assert jobs_of(gateway, later) == []
    set_time(gateway.store, later.id)
    release(gateway)
    release(gateway)
    queued = stored(gateway, later)
    assert (queued.status, queued.seq > stored(gateway, at_once).seq) == (Status.QUEUED, True)
    assert queued.created_at > later.created_at
    assert [job.kind for job in jobs_of(gateway, later)] == [JobKind.SEND]
    run_due_jobs(gateway)
    release(gateway)
    assert texts(taken) == ["now", "later"]
    conversation = gateway.store.read(
        lambda tx: conversations.by_id(tx, later.conversation_id, [NUMBER])
    )
    assert conversation is not None
    assert conversation.last_seq == queued.seq
    assert violations(gateway) == []
    assert violations(gateway, thorough=True) == []


def test_the_books_balance_whatever_becomes_of_scheduled_texts(gateway: Gateway) -> None:
    failing(gateway)
    sent, failed, cancelled, waiting = [schedule(gateway, str(at)) for at in range(4)]
    assert violations(gateway) == []
    set_time(gateway.store, sent.id)
    set_time(gateway.store, failed.id, ago=2 * DAY)
    gateway.scheduling.cancel(PHONE, cancelled.id)
    release(gateway)
    assert violations(gateway) == []
    run_due_jobs(gateway)
    states = [stored(gateway, one).status for one in (sent, failed, cancelled, waiting)]
    assert states == [Status.SENT, Status.FAILED, Status.CANCELLED, Status.SCHEDULED]
    gateway.retention.prune(Ages(messages=time.time() + DAY))
    assert [one.id for one in stored_messages(gateway)] == [waiting.id]
    assert violations(gateway, thorough=True) == []
    gateway.retention.forget(PEER, gateway.retention.person(PEER))
    assert stored_messages(gateway) == []
    assert violations(gateway, thorough=True) == []


def test_statistics_count_a_text_once_when_it_is_released(gateway: Gateway) -> None:
    failing(gateway)
    message, cancelled = schedule(gateway), schedule(gateway)
    count(gateway.store)
    assert activity_of(gateway.store, 2).total.sent() == 0
    set_time(gateway.store, message.id)
    release(gateway)
    gateway.scheduling.cancel(PHONE, cancelled.id)
    run_due_jobs(gateway)
    count(gateway.store)
    assert not gateway.store.read(activity.is_behind)
    assert activity_of(gateway.store, 2).total.sent() == 1


def test_a_long_text_is_split_at_its_time(gateway: Gateway) -> None:
    taken = failing(gateway)
    provider = gateway.providers["sandbox"]
    message = schedule(gateway, "word " * 1000)
    assert len(stored_messages(gateway)) == 1
    set_time(gateway.store, message.id)
    release(gateway)
    run_due_jobs(gateway)
    assert len(taken) > 1
    assert all(len(one.text) <= provider.limits.text for one in taken)
    assert taken[0].id == message.id
    assert len({one.send_at for one in taken}) == 1  # by which each waits for quiet hours
    assert violations(gateway, thorough=True) == []


def test_what_is_long_overdue_fails_with_the_reason(make_gateway: Make, receiver: Receiver) -> None:
    gateway = make_gateway(NUMBER_ENTRY, SCHEDULED_EXPIRE_HOURS="5", **receiver.env)
    taken = failing(gateway)
    late, in_time = schedule(gateway), schedule(gateway, "in time")
    set_time(gateway.store, late.id, ago=5.1 * 3600)
    set_time(gateway.store, in_time.id, ago=4.9 * 3600)
    release(gateway)
    run_due_jobs(gateway)
    now = stored(gateway, late)
    assert (now.status, now.error_code) == (Status.FAILED, "too_late")
    assert now.error_reason == "It was to be sent more than 5 hours ago."
    assert texts(taken) == ["in time"]
    told = [push["data"]["message"] for push in receiver.pushes]
    assert [one["error"]["code"] for one in told if one["id"] == late.id] == ["too_late"]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"extensions": ["202"]}, "number_not_yours"),
        ({"enabled": False}, "number_not_yours"),
        ({"carrier": "twilio"}, "carrier_off"),
    ],
)
def test_what_may_not_be_sent_any_more_fails(
    gateway: Gateway, entry: dict[str, Any], code: str
) -> None:
    message = schedule(gateway)
    put_entry(gateway, NUMBER_ENTRY | entry)
    set_time(gateway.store, message.id)
    release(gateway)
    now = stored(gateway, message)
    assert (now.status, now.error_code, jobs_of(gateway, message)) == (Status.FAILED, code, [])


def test_the_text_can_be_changed_after_its_old_carrier_was_switched_off(gateway: Gateway) -> None:
    """The number has another carrier now."""
    message = schedule(gateway)
    gateway.store.write(lambda tx: tx.execute(update(message_table).values(provider="gone")))
    changed = gateway.scheduling.change(PHONE, message.id, text="another", send_at=None)
    assert (changed.text, changed.status) == ("another", Status.SCHEDULED)


def put_entry(gateway: Gateway, entry: dict[str, Any]) -> None:
    gateway.settings.put_document(json.dumps({"version": 1, "numbers": [entry]}).encode())


def test_a_fault_with_one_text_stops_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = failing(gateway)
    made = [schedule(gateway, text) for text in ("one", "faulty", "two")]
    for message in made:
        set_time(gateway.store, message.id)
    right = gateway.checks.checked

    def checked(tx: Connection, setting: NumberSetting, message: Message) -> Message:
        if message.text == "faulty":
            raise KeyError(message.text)
        return right(tx, setting, message)

    monkeypatch.setattr(gateway.checks, "checked", checked)
    release(gateway)
    run_due_jobs(gateway)
    now = stored(gateway, made[1])
    assert (now.status, now.error_code) == (Status.FAILED, "fault")
    assert now.error_reason == "Textbridge has a fault here (KeyError); its log says more."
    assert sorted(texts(taken)) == ["one", "two"]
    assert violations(gateway, thorough=True) == []


def stop(gateway: Gateway) -> None:
    receive_text(gateway, "STOP")


STEPS: dict[str, Callable[[Gateway, Message], object]] = {
    "time comes": lambda gateway, message: set_time(gateway.store, message.id),
    "release": lambda gateway, _: release(gateway),
    "send": lambda gateway, _: run_due_jobs(gateway),
}


@pytest.mark.parametrize("position", range(len(STEPS) + 1))
@pytest.mark.parametrize("ends", ["stop", "cancel"])
def test_stop_and_cancelling_count_at_every_moment(
    gateway: Gateway, position: int, ends: str
) -> None:
    """The text is sent only if STOP, or the request to cancel it, comes after it."""
    taken = failing(gateway)
    message = schedule(gateway)
    for at, step in enumerate([*STEPS.values(), lambda *_: None]):
        if at == position and ends == "stop":
            stop(gateway)
            assert stored(gateway, message).error_code == (None if at == 3 else "opted_out")
        elif at == position:
            cancel(gateway, message)
        step(gateway, message)
    run_due_jobs(gateway)
    now = stored(gateway, message)
    released = position >= 2  # what is queued is not scheduled any more, and cannot be cancelled
    if position == 3 or (ends == "cancel" and released):
        assert (now.status, texts(taken).count("later")) == (Status.SENT, 1)
    else:
        assert "later" not in texts(taken)
        expected = Status.FAILED if released else Status.CANCELLED
        code = "opted_out" if ends == "stop" else "cancelled"
        assert (now.status, now.error_code) == (expected, code)
    assert violations(gateway, thorough=True) == []


def cancel(gateway: Gateway, message: Message) -> bool:
    try:
        gateway.scheduling.cancel(PHONE, message.id)
    except RequestRefused:
        return False
    return True


def test_of_a_release_and_a_cancellation_at_the_same_moment_one_counts(
    make_gateway: Make, database: str
) -> None:
    nodes = [make_gateway(NUMBER_ENTRY, DATABASE_URL=database) for _ in range(2)]
    gateway = nodes[0]
    taken = failing(gateway)
    made = [schedule(gateway, str(at), to=(f"+1303555{at:04}",)) for at in range(12)]
    for message in made:
        set_time(gateway.store, message.id)
    cancelled: list[str] = []
    work = [
        lambda: release(nodes[0]),
        lambda: release(nodes[1]),
        lambda: cancelled.extend(one.id for one in reversed(made) if cancel(nodes[1], one)),
    ]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    release(gateway)
    run_due_jobs(gateway)
    sent = [message.id for message in taken]
    assert sorted([*sent, *cancelled]) == sorted(message.id for message in made)
    assert violations(gateway, thorough=True) == []


def test_a_release_that_is_interrupted_is_done_again_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed before the commit, and another after it."""
    taken = failing(gateway)
    message = schedule(gateway)
    set_time(gateway.store, message.id)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "add", killed)
        with pytest.raises(StorageUnwell):
            gateway.scheduling.release_due()
    assert stored(gateway, message).status is Status.SCHEDULED
    release(gateway)
    leased: list[jobs.Job] = []
    gateway.delivery.deliver("killed", lambda _: 1, leased.append)
    gateway.outcomes.reclaim(["killed"])
    release(gateway)
    run_due_jobs(gateway)
    make_due(gateway)
    release(gateway)
    run_due_jobs(gateway)
    assert (len(leased), texts(taken)) == (1, ["later"])


def killed(*_: object) -> None:
    raise StorageUnwell("The worker was killed.")


@pytest.mark.parametrize("jump", [-2 * DAY, -60.0, 60.0, 2 * DAY])
def test_a_clock_that_is_changed_sends_nothing_twice(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    taken = failing(gateway)
    message, other = schedule(gateway), schedule(gateway, "other", ahead=3 * DAY)
    set_time(gateway.store, message.id)
    release(gateway)
    run_due_jobs(gateway)
    right = clock.now
    monkeypatch.setattr(clock, "now", lambda tx: right(tx) + jump)
    release(gateway)
    make_due(gateway)
    run_due_jobs(gateway)
    monkeypatch.setattr(clock, "now", right)
    release(gateway)
    run_due_jobs(gateway)
    assert texts(taken) == ["later"]
    assert stored(gateway, other).status is Status.SCHEDULED


def test_quiet_hours_of_the_place_hold_a_scheduled_text_and_say_so(make_gateway: Make) -> None:
    gateway = closed_now(make_gateway)
    taken = failing(gateway)
    message = schedule(gateway, ahead=0.0, to=(BRITON,))
    until = datetime.fromtimestamp(message.send_at, UTC)
    assert message.waits_because == f"Quiet hours in GB until {until:%H:%M} (UTC)."
    assert message.send_at > time.time() + 3600
    set_time(gateway.store, message.id)  # the operator changed the hours meanwhile
    release(gateway)
    now = stored(gateway, message)
    assert (now.status, now.waits_because) == (Status.SCHEDULED, message.waits_because)
    assert now.send_at == message.send_at
    at_once, _ = gateway.composer.submit(PHONE, Reply("a person's answer", (BRITON,)))
    run_due_jobs(gateway)
    assert texts(taken) == ["a person's answer"]
    assert stored(gateway, at_once).waits_because is None


def test_what_a_person_sends_now_is_not_held_by_quiet_hours(make_gateway: Make) -> None:
    gateway = closed_now(make_gateway)
    taken = failing(gateway)
    message = schedule(gateway, ahead=0.0, to=(BRITON,))
    assert message.waits_because
    queued = gateway.scheduling.send_now(PHONE, message.id)
    assert (queued.status, queued.waits_because) == (Status.QUEUED, None)
    release(gateway)
    run_due_jobs(gateway)
    assert texts(taken) == ["later"]
    assert violations(gateway, thorough=True) == []


def test_when_the_hours_begin_it_is_sent_without_a_reason(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = closed_now(make_gateway)
    taken = failing(gateway)
    message = schedule(gateway, ahead=0.0, to=(BRITON,))
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda _: message.send_at + 1)
        release(gateway)
        run_due_jobs(gateway)
    assert texts(taken) == ["later"]
    assert stored(gateway, message).waits_because is None


def test_a_send_that_is_delayed_into_quiet_hours_waits_and_lets_replies_pass(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = closed_now(make_gateway)
    busy = SendError("Too many requests.", Kind.RETRY, retry_after=1.0)
    taken = failing(gateway, busy)
    message = schedule(gateway, ahead=0.0, to=(BRITON,))
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda _: message.send_at + 1)
        release(gateway)
        run_due_jobs(gateway)
    for _ in range(2):
        make_due(gateway)
        run_due_jobs(gateway)
    assert taken == []
    [job] = jobs_of(gateway, message)
    assert (job.due, job.error, job.attempts) == (message.send_at, message.waits_because, 0)
    gateway.composer.submit(PHONE, Reply("a person's answer", (BRITON,)))
    run_due_jobs(gateway)
    assert texts(taken) == ["a person's answer"]
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda _: message.send_at + 2)
        run_due_jobs(gateway)
    assert texts(taken) == ["a person's answer", "later"]
    assert violations(gateway, thorough=True) == []


def test_an_automatic_answer_that_is_delayed_waits_for_the_hours(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = closed_now(make_gateway, SCHEDULED_ANSWERS_WAIT="true")
    put_answer(gateway)
    taken = failing(gateway)
    later = time.time() + 2.5 * 3600
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda _: later)
        receive_text(gateway, "hello", peer=BRITON)
    make_due(gateway)
    run_due_jobs(gateway)
    assert taken == []
    [answer] = [one for one in stored_messages(gateway) if one.direction == "out"]
    assert (answer.status, answer.send_at) == (Status.QUEUED, None)
    [job] = jobs_of(gateway, answer)
    assert job.due > time.time() + 3600


ANSWER = {"name": "Hello", "reply": "We call you."}


def put_answer(gateway: Gateway) -> None:
    document = {"version": 2, "numbers": [NUMBER_ENTRY], "inbound": [ANSWER]}
    gateway.settings.put_document(json.dumps(document).encode())


@pytest.mark.parametrize(("answers_wait", "sent"), [("true", []), ("false", ["We call you."])])
def test_an_automatic_answer_waits_for_the_hours_unless_it_may_go(
    make_gateway: Make, answers_wait: str, sent: list[str]
) -> None:
    gateway = closed_now(make_gateway, SCHEDULED_ANSWERS_WAIT=answers_wait)
    put_answer(gateway)
    taken = failing(gateway)
    receive_text(gateway, "hello", peer=BRITON)
    run_due_jobs(gateway)
    assert texts(taken) == sent
    [answer] = [one for one in stored_messages(gateway) if one.direction == "out"]
    assert answer.rule == "Hello"
    assert (answer.status is Status.SCHEDULED) is not bool(sent)
    set_time(gateway.store, answer.id)
    receive_text(gateway, "STOP", peer=BRITON)
    if not sent:
        assert stored(gateway, answer).status is Status.CANCELLED
        run_due_jobs(gateway)
        assert "We call you." not in texts(taken)


def waiting_answer(make_gateway: Make) -> tuple[Gateway, Message]:
    """A gateway at which an automatic answer waits, and this answer."""
    gateway = closed_now(make_gateway, SCHEDULED_ANSWERS_WAIT="true")
    put_answer(gateway)
    receive_text(gateway, "hello", peer=BRITON)
    [answer] = [one for one in stored_messages(gateway) if one.direction == "out"]
    return gateway, answer


@pytest.mark.parametrize("answered", [True, False])
def test_an_automatic_answer_that_has_waited_does_not_follow_that_of_a_person(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    gateway, answer = waiting_answer(make_gateway)
    taken = failing(gateway)
    if answered:
        gateway.composer.submit(PHONE, Reply("We are here.", (BRITON,)))
        run_due_jobs(gateway)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda _: answer.send_at + 1)
        release(gateway)
        run_due_jobs(gateway)
    now = stored(gateway, answer)
    if answered:
        assert (now.status, now.error_code) == (Status.CANCELLED, "answered")
        assert texts(taken) == ["We are here."]
    else:
        assert texts(taken) == ["We call you."]


def test_automatic_answers_do_not_wait_unless_it_is_set(make_gateway: Make) -> None:
    gateway = closed_now(make_gateway)
    document = {"version": 2, "numbers": [NUMBER_ENTRY], "inbound": [ANSWER]}
    gateway.settings.put_document(json.dumps(document).encode())
    taken = failing(gateway)
    receive_text(gateway, "hello", peer=BRITON)
    run_due_jobs(gateway)
    assert texts(taken) == ["We call you."]


def test_the_answer_to_stop_never_waits(make_gateway: Make) -> None:
    gateway = closed_now(make_gateway)
    taken = failing(gateway)
    receive_text(gateway, "STOP", peer=BRITON)
    run_due_jobs(gateway)
    assert len(taken) == 1


def test_a_restored_backup_sends_nothing_that_was_scheduled(gateway: Gateway) -> None:
    """It may have been sent or cancelled since the backup was made."""
    taken = failing(gateway)
    past, future = schedule(gateway, "past"), schedule(gateway, "future")
    set_time(gateway.store, past.id)
    assert gateway.store.write(gateway.outcomes.after_restore)[0] == 1
    release(gateway)
    run_due_jobs(gateway)
    assert taken == []
    states = [stored(gateway, one).status for one in (past, future)]
    assert states == [Status.UNKNOWN, Status.CANCELLED]


def test_a_send_that_is_refused_at_its_time_fails_as_any_other(gateway: Gateway) -> None:
    failing(gateway, SendError("Not in service.", Kind.REFUSED, code="30005"))
    message = schedule(gateway)
    set_time(gateway.store, message.id)
    release(gateway)
    run_due_jobs(gateway)
    now = stored(gateway, message)
    assert (now.status, now.error_code) == (Status.FAILED, "30005")


def test_a_text_is_at_hand_only_while_it_is_scheduled(gateway: Gateway) -> None:
    failing(gateway)
    kept = [schedule(gateway, text) for text in ("one", "two", "three")]
    set_time(gateway.store, kept[0].id)
    gateway.scheduling.cancel(PHONE, kept[1].id)
    release(gateway)
    listed = gateway.store.read(lambda tx: scheduled.page(tx, [NUMBER], limit=9))
    assert [one.text for one in listed] == ["three"]
    released = gateway.store.read(
        lambda tx: messages.page(tx, kept[0].conversation_id, limit=9, released=True)
    )
    assert [one.text for one in released] == ["one"]


def test_it_is_found_by_the_time_at_which_it_was_sent(gateway: Gateway) -> None:
    failing(gateway)
    later = schedule(gateway)
    before = time.time()
    at_once, _ = gateway.composer.submit(PHONE, Reply("now", (PEER,)))
    set_time(gateway.store, later.id)
    release(gateway)
    wanted = MessageFilter(since=before)
    found = gateway.store.read(lambda tx: message_filter.page(tx, wanted, 9))
    assert [one.id for one in found.messages] == [later.id, at_once.id]


def test_a_desk_phone_hears_of_what_failed_and_not_of_what_its_user_cancelled(
    gateway: Gateway,
) -> None:
    late, cancelled, stopped = (schedule(gateway, text) for text in ("late", "gone", "stopped"))
    set_time(gateway.store, late.id, ago=2 * DAY)
    release(gateway)
    gateway.scheduling.cancel(PHONE, cancelled.id)
    stop(gateway)

    def heard(message: Message) -> int:
        shown = message_object(stored(gateway, message), gateway.media.link)
        notice = Notice("n", "message.updated", "201", 0.0, shown)
        return len(list(sip_texts(notice)))

    assert [heard(one) for one in (late, cancelled, stopped)] == [1, 0, 1]
