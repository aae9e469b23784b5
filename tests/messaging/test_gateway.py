"""The gateway: what is taken in is kept once, goes to whom it belongs, and nothing disappears."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, update

from services.core.errors import DeliveryError, InvalidWebhook, Kind, RequestRefused, SendError
from services.core.messages import DeliveryStatus, Device, Message, Status, WebhookCall
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.providers.base import same
from services.store import (
    circuit_breakers,
    dead_letters,
    jobs,
    messages,
    quarantine,
    statuses,
    workers,
)
from services.store.database.schema import jobs as job_table
from services.store.database.schema import messages as message_table
from services.store.jobs import Job, JobKind
from tests.conftest import DESK, NUMBER, PEER
from tests.fakes.receiver import Receiver

Make = Callable[..., Gateway]
PHONE = Device(id="d", extension="201")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def call(gateway: Gateway, text: str = "hi", **changes: Any) -> WebhookCall:
    fields = {"number": NUMBER, "peer": PEER, "text": text} | changes
    return gateway.providers["sandbox"].example(Message(direction="in", **fields))


def receive(gateway: Gateway, text: str = "hi", **changes: Any) -> None:
    gateway.receiver.receive(gateway.providers["sandbox"], call(gateway, text, **changes))


def raw(gateway: Gateway, body: bytes) -> WebhookCall:
    token = gateway.providers["sandbox"].webhook_token
    return WebhookCall("POST", {"content-type": "application/json"}, f"token={token}", body)


def work(gateway: Gateway) -> list[Job]:
    """Do everything that is due, as the worker would."""
    done: list[Job] = []

    def start(job: Job) -> None:
        done.append(job)
        gateway.delivery.perform(job)

    while True:
        before = len(done)
        gateway.delivery.deliver("w", lambda _: 8, start)
        if len(done) == before:
            return done


def kept(gateway: Gateway) -> list[Message]:
    return gateway.store.read(lambda tx: messages.find(tx, limit=100))


def one(gateway: Gateway, message: Message) -> Message:
    found = gateway.store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    return found


def jobs_of(gateway: Gateway, message: Message) -> list[Job]:
    return gateway.store.read(lambda tx: jobs.of(tx, message.id))


def make_due(gateway: Gateway) -> None:
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=time.time())))
    gateway.store.write(circuit_breakers.resume_all)


# Inbound


def test_a_text_reaches_the_app_once(make_gateway: Make, receiver: Receiver, database: str) -> None:
    gateway = make_gateway(DESK, DATABASE_URL=database, **receiver.env)
    same = call(gateway)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda _: gateway.receiver.receive(gateway.providers["sandbox"], same), range(8)
            )
        )
    work(gateway)
    (push,) = receiver.wait_for(1)
    assert push["type"] == "message.received"
    assert push["data"]["extension"] == "201"
    assert push["data"]["unread"] == 1
    message = push["data"]["message"]
    assert (message["from"], message["to"], message["text"]) == (PEER, [NUMBER], "hi")
    assert len(kept(gateway)) == 1
    assert work(gateway) == []


def test_everybody_who_shares_a_number_is_told(make_gateway: Make, receiver: Receiver) -> None:
    gateway = make_gateway(DESK | {"extensions": ["201", "202"]}, **receiver.env)
    receive(gateway)
    work(gateway)
    assert {p["data"]["extension"] for p in receiver.wait_for(2)} == {"201", "202"}


def test_an_empty_secret_is_never_right() -> None:
    assert not same("", "")
    assert not same("x", "")
    assert same("x", "x")


def test_a_stranger_is_refused_and_leaves_nothing(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    good = call(gateway)
    for query in ("", "token=", "token=wrong", good.query[:-1], good.query.upper()):
        forged = WebhookCall(good.method, good.headers, query, good.body)
        with pytest.raises(InvalidWebhook):
            gateway.receiver.receive(gateway.providers["sandbox"], forged)
    assert kept(gateway) == []


@pytest.mark.parametrize(
    "setting",
    [
        None,
        DESK | {"enabled": False},
        DESK | {"extensions": []},
    ],
    ids=["not mapped", "disabled", "nobody"],
)
def test_a_message_for_nobody_is_kept_and_delivered_once_somebody_is_there(
    make_gateway: Make, receiver: Receiver, setting: dict[str, Any] | None
) -> None:
    gateway = make_gateway(*([setting] if setting else []), **receiver.env)
    receive(gateway, "first")
    receive(gateway, "second")
    assert work(gateway) == []
    assert [m.routed for m in kept(gateway)] == [False, False]
    assert gateway.router.route_waiting() == 0
    gateway.settings.put(DESK)
    assert gateway.router.route_waiting() == 2
    work(gateway)
    assert [p["data"]["message"]["text"] for p in receiver.wait_for(2)] == ["first", "second"]
    assert gateway.router.route_waiting() == 0


def test_what_cannot_be_read_is_kept_and_what_stands_beside_it_is_not_lost(
    make_gateway: Make,
) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"to": 1}', b"[" * 100_000, b"\x00"):
        assert gateway.receiver.receive(provider, raw(gateway, body)) == provider.ack
    waiting = gateway.store.read(quarantine.waiting)
    assert len(waiting) == 8
    assert all(provider.webhook_token not in row.query for row in waiting)
    assert kept(gateway) == []


def test_a_number_that_is_none_goes_to_quarantine(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    gateway.receiver.receive(
        provider, raw(gateway, b'{"id": "1", "from": "+++", "to": "12025550100"}')
    )
    (row,) = gateway.store.read(quarantine.waiting)
    assert "neither a phone number nor a short code nor a name" in row.reason


def test_a_quarantined_call_is_read_once_the_cause_is_gone(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    gateway.receiver.receive(provider, raw(gateway, b'{"ID": "1"}'))
    (row,) = gateway.store.read(quarantine.waiting)
    with pytest.raises(RequestRefused, match="no event of the sandbox"):
        gateway.processor.replay(row.id)
    newer = [Message(direction="in", number=NUMBER, peer=PEER, provider_id="1")]
    monkeypatch.setattr(provider, "parse", lambda _call: newer)
    assert [outcome for outcome, _ in gateway.processor.replay(row.id)] == ["received"]
    assert gateway.store.read(quarantine.waiting) == []
    with pytest.raises(RequestRefused, match="no such call"):
        gateway.processor.replay(row.id)


# Outbound


def test_a_reply_leaves_by_the_carrier_and_its_states_come_back(
    make_gateway: Make, receiver: Receiver, database: str
) -> None:
    gateway = make_gateway(DESK, DATABASE_URL=database, **receiver.env)
    message, repeated = gateway.composer.submit(PHONE, Reply(text="yes", to=(PEER,)))
    assert (message.status, repeated) == (Status.QUEUED, False)
    work(gateway)
    assert one(gateway, message).status is Status.SENT
    body = f'{{"receipt": "{message.id}", "status": "delivered"}}'.encode()
    gateway.receiver.receive(gateway.providers["sandbox"], raw(gateway, body))
    work(gateway)
    states = [p["data"]["message"]["status"] for p in receiver.wait_for(2)]
    assert states == ["sent", "delivered"]
    assert {p["type"] for p in receiver.pushes} == {"message.updated"}


def test_a_repeated_reply_is_one_text(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(DESK, DATABASE_URL=database)
    reply = Reply(text="yes", to=(PEER,), client_id="c1")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: gateway.composer.submit(PHONE, reply), range(50)))
    assert len({message.id for message, _ in taken}) == 1
    assert sorted(repeated for _, repeated in taken) == [False] + [True] * 49
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, Reply(text="no", to=(PEER,), client_id="c1"))
    assert (caught.value.code, caught.value.status) == ("client_id_reused", 409)


def test_a_long_text_becomes_several_in_order(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    words = " ".join(f"word{index}" for index in range(500))
    sent: list[str] = []
    provider = gateway.providers["sandbox"]
    original = provider.send
    provider.send = lambda message: (sent.append(message.text), original(message))[1]  # type: ignore[method-assign]
    gateway.composer.submit(PHONE, Reply(text=words, to=(PEER,)))
    work(gateway)
    assert len(sent) == 3
    assert "".join(sent) == words
    assert all(len(text) <= provider.limits.text for text in sent)


REFUSED = [
    (Reply(text="x", to=("abc!",)), "invalid_number", "to"),
    (Reply(text="x", to=("MTN",)), "not_dialable", "to"),
    (Reply(text="x", to=(NUMBER,)), "same_number", "to"),
    (Reply(text="x"), "missing", "to"),
    (Reply(text=" ", to=(PEER,)), "empty", "text"),
    (Reply(text="x", to=(PEER,), sender="+12025550199"), "number_not_yours", "from"),
    (Reply(text="x", to=(PEER,), sender="zzz"), "invalid_number", "from"),
    (Reply(text="x", conversation_id="none"), "not_found", "conversation_id"),
    (Reply(text="x", to=(PEER,), media_ids=("none",)), "unknown_file", "media_ids"),
    (
        Reply(text="x", to=tuple(f"+130355501{index}" for index in range(10, 21))),
        "too_many_recipients",
        "to",
    ),
]


@pytest.mark.parametrize(
    ("reply", "code", "field"), REFUSED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_reply_that_cannot_leave_is_refused_by_the_name_of_its_field(
    make_gateway: Make, reply: Reply, code: str, field: str
) -> None:
    gateway = make_gateway(DESK)
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, reply)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert kept(gateway) == []


def test_an_extension_without_a_number_is_told_so(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    with pytest.raises(RequestRefused, match="has no number yet") as caught:
        gateway.composer.submit(Device(id="x", extension="299"), Reply(text="x", to=(PEER,)))
    assert caught.value.status == 403


def test_a_reply_leaves_from_the_number_that_the_peer_last_wrote_to(make_gateway: Make) -> None:
    other = DESK | {"number": "+12025550101"}
    gateway = make_gateway(DESK, other)
    first, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    assert first.number == NUMBER
    receive(gateway, number="+12025550101")
    second, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    assert second.number == "+12025550101"


# Failures


def failing(gateway: Gateway, *errors: DeliveryError) -> list[Message]:
    """Let the carrier fail in this order, then take everything; returns what it took."""
    provider = gateway.providers["sandbox"]
    left, taken = list(errors), []

    def send(message: Message) -> str:
        if left:
            raise left.pop(0)
        taken.append(message)
        return f"id-{message.id}"

    provider.send = send  # type: ignore[method-assign]
    return taken


def test_what_certainly_was_not_sent_is_tried_again(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    taken = failing(gateway, *[SendError("Busy.", Kind.RETRY)] * 3)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    for _ in range(4):
        work(gateway)
        make_due(gateway)
    assert len(taken) == 1
    assert one(gateway, message).status is Status.SENT


def test_what_may_have_been_sent_is_never_sent_again_by_itself(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    taken = failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    make_due(gateway)
    work(gateway)
    assert taken == []
    assert one(gateway, message).status is Status.UNKNOWN
    with pytest.raises(RequestRefused, match="may have been sent"):
        gateway.operator_actions.retry(message.id)
    gateway.operator_actions.retry(message.id, resend_unknown=True)
    work(gateway)
    assert len(taken) == 1


def test_a_receipt_settles_an_unknown_send(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    body = f'{{"receipt": "{message.id}", "status": "delivered"}}'.encode()
    gateway.receiver.receive(gateway.providers["sandbox"], raw(gateway, body))
    assert one(gateway, message).status is Status.DELIVERED


def test_a_refusal_says_why_and_can_be_tried_again(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    taken = failing(gateway, SendError("The number is a landline.", Kind.REFUSED, code="4720"))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    failed = one(gateway, message)
    assert (failed.status, failed.error_code) == (Status.FAILED, "4720")
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert dead.error == "The number is a landline."
    assert len(gateway.operator_actions.retry(message.id)) == 1
    work(gateway)
    assert len(taken) == 1


def test_wrong_credentials_stop_the_carrier_and_keep_its_messages(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    taken = failing(gateway, SendError("Check the token.", Kind.CONFIG))
    for index in range(3):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(f"+1303555017{index}",)))
    gateway.delivery.deliver("w", lambda _: 1, gateway.delivery.perform)
    work(gateway)
    assert taken == []
    (pause,) = gateway.store.read(circuit_breakers.unwell)
    assert (pause.name, pause.reason, pause.config) == ("send:sandbox", "Check the token.", True)
    make_due(gateway)
    work(gateway)
    assert len(taken) == 3
    assert gateway.store.read(circuit_breakers.unwell) == []


def test_a_carriers_wish_to_wait_is_not_a_failed_attempt(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    failing(gateway, SendError("Slow down.", Kind.RETRY, retry_after=60))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    (job,) = jobs_of(gateway, message)
    assert job.attempts == 0
    assert job.due > time.time() + 50


def test_a_job_is_given_up_after_a_day(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    failing(gateway, *[SendError("Busy.", Kind.RETRY)] * 2)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    old = time.time() - 90_000
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(created_at=old)))
    work(gateway)
    assert one(gateway, message).status is Status.FAILED


def lease(gateway: Gateway) -> list[Job]:
    claimed: list[Job] = []
    gateway.delivery.deliver("dead worker", lambda _: 8, claimed.append)
    return claimed


def test_a_send_that_had_begun_when_its_worker_died_is_unknown(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    begun, _ = gateway.composer.submit(PHONE, Reply(text="begun", to=(PEER,)))
    waiting, _ = gateway.composer.submit(PHONE, Reply(text="waiting", to=("+13035550178",)))
    leased = {job.message_id: job for job in lease(gateway)}
    gateway.store.write(lambda tx: jobs.start(tx, leased[begun.id]))
    gateway.store.write(lambda tx: statuses.advance(tx, begun.id, Status.SENDING))
    assert gateway.outcomes.reclaim(["dead worker"]) == 2
    taken = failing(gateway)
    work(gateway)
    assert [message.id for message in taken] == [waiting.id]
    assert one(gateway, begun).status is Status.UNKNOWN


class PowerCut(BaseException):
    """Ends a job as a killed process does: nothing is recorded any more."""


def test_a_send_that_is_cut_off_half_way_is_never_sent_again(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    taken: list[Message] = []

    def send(message: Message) -> str:
        taken.append(message)
        raise PowerCut

    provider.send = send  # type: ignore[method-assign]
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    with pytest.raises(PowerCut):
        gateway.delivery.deliver("dead worker", lambda _: 8, gateway.delivery.perform)
    gateway.outcomes.reclaim(["dead worker"])
    make_due(gateway)
    work(gateway)
    assert len(taken) == 1
    assert one(gateway, message).status is Status.UNKNOWN


@pytest.mark.parametrize("kind", [JobKind.PUSH, JobKind.EMAIL])
def test_what_was_answered_is_not_done_again_when_the_worker_dies_before_it_is_noted(
    make_gateway: Make, receiver: Receiver, kind: JobKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway({**DESK, "emails": ["desk@example.com"]}, **receiver.env)
    mailed: list[str] = []
    monkeypatch.setattr(gateway.mailer, "send", lambda _, to: mailed.append(to))
    receive(gateway)
    (job,) = (job for job in lease(gateway) if job.kind is kind)
    with monkeypatch.context() as dying:
        dying.setattr(gateway.outcomes, "record", cut)
        with pytest.raises(PowerCut):
            gateway.delivery.perform(job)
    gateway.outcomes.reclaim(["dead worker"])
    make_due(gateway)
    work(gateway)
    assert (len(receiver.ids), mailed) == (1, ["desk@example.com"])
    assert gateway.store.read(lambda tx: jobs.counts(tx)) == {}


def cut(*_: object, **_more: object) -> None:
    """End whoever calls."""
    raise PowerCut


def test_the_jobs_of_a_living_worker_are_left_alone(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    lease(gateway)
    gateway.store.write(lambda tx: workers.beat(tx, "dead worker", time.time()))
    assert gateway.outcomes.reclaim([]) == 0


def test_a_job_that_keeps_killing_its_worker_becomes_a_dead_letter(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    receive(gateway)
    for _ in range(jobs.MAX_INTERRUPTIONS):
        assert len(lease(gateway)) == 1
        gateway.outcomes.reclaim(["dead worker"])
    assert lease(gateway) == []
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert "interrupted 5 times" in str(dead.error)


def test_a_push_that_fails_is_repeated_with_the_same_id(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    receiver.answers.extend([500, 302, 404])
    receive(gateway)
    for _ in range(4):
        work(gateway)
        make_due(gateway)
    (push,) = receiver.wait_for(1)
    assert receiver.ids == [f"msg_{push['data']['message']['id']}_201_received"]


def test_a_push_address_that_is_gone_is_not_tried_again(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    receiver.answers.append(410)
    receive(gateway)
    work(gateway)
    make_due(gateway)
    assert work(gateway) == []
    (dead,) = gateway.store.read(lambda tx: dead_letters.newest(tx, 10))
    assert dead.kind is JobKind.PUSH


def test_one_broken_destination_does_not_hold_up_another(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    failing(gateway, *[SendError("Down.", Kind.CONFIG)] * 20)
    for index in range(5):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(PEER,)))
        receive(gateway, str(index))
    work(gateway)
    assert len(receiver.wait_for(5)) == 5


def test_every_job_is_accounted_for(make_gateway: Make, receiver: Receiver) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    failing(gateway, SendError("No.", Kind.REFUSED), SendError("Later.", Kind.RETRY))
    receiver.answers.extend([410, 500])
    for index in range(4):
        receive(gateway, str(index))
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(f"+1303555018{index}",)))
    work(gateway)
    states = gateway.store.read(
        lambda tx: [row[0] for row in tx.execute(select(job_table.c.state))]
    )
    assert sorted(states) == ["dead"] * 2 + ["done"] * 5 + ["due"] * 4
    total = gateway.store.read(
        lambda tx: tx.execute(select(func.count()).select_from(message_table)).scalar()
    )
    assert total == 8


# Asking the carrier


def told(message: Message, status: Status = Status.DELIVERED) -> DeliveryStatus:
    return DeliveryStatus(
        status, f"list:{status}", provider_id=f"id-{message.id}", peer=message.peer
    )


def unknown_send(gateway: Gateway) -> Message:
    failing(gateway, SendError("No answer.", Kind.UNKNOWN))
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    work(gateway)
    assert one(gateway, message).status is Status.UNKNOWN
    return message


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sandbox answer questions about messages, as real carriers do."""

    def answers(gateway: Gateway, *answers: Any) -> None:
        provider = gateway.providers["sandbox"]
        left = list(answers)
        monkeypatch.setattr(type(provider), "lookup_seconds", 3600.0)
        monkeypatch.setattr(provider, "find_sent", lambda _message: left.pop(0), raising=False)

    return answers


def test_a_doubtful_send_is_settled_by_asking_the_carrier(make_gateway: Make, asked: Any) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    asked(gateway, None, told(message))
    for _ in range(2):
        make_due(gateway)
        work(gateway)
    assert one(gateway, message).status is Status.DELIVERED
    assert {job.state for job in jobs_of(gateway, message) if job.kind == "reconcile"} == {"done"}


def test_what_the_carrier_has_no_trace_of_is_left_to_a_person(
    make_gateway: Make, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    asked(gateway, None)
    monkeypatch.setattr(type(gateway.providers["sandbox"]), "lookup_seconds", 0.0001)
    make_due(gateway)
    work(gateway)
    make_due(gateway)
    assert work(gateway) == []
    assert one(gateway, message).status is Status.UNKNOWN


def test_another_messages_trace_settles_nothing(make_gateway: Make, asked: Any) -> None:
    gateway = make_gateway(DESK)
    asked(gateway)
    message = unknown_send(gateway)
    failing(gateway)
    other, _ = gateway.composer.submit(PHONE, Reply(text="y", to=(PEER,)))
    work(gateway)
    asked(gateway, told(one(gateway, other)))
    make_due(gateway)
    work(gateway)
    assert one(gateway, message).status is Status.UNKNOWN


def test_a_carrier_without_receipts_is_asked_until_the_end(
    make_gateway: Make, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    monkeypatch.setattr(type(provider), "receipts", False)
    failing(gateway)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(PEER,)))
    asked(gateway, told(message, Status.SENT), told(message, Status.DELIVERED))
    for _ in range(3):
        work(gateway)
        make_due(gateway)
    assert one(gateway, message).status is Status.DELIVERED


def test_what_was_missed_is_taken_in_once(
    make_gateway: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    provider = gateway.providers["sandbox"]
    receive(gateway, "by webhook", provider_id="1")
    (came,) = (m.provider_id for m in kept(gateway))
    missed = [
        Message("in", NUMBER, PEER, text="by webhook", provider_id=came),
        Message("in", NUMBER, PEER, text="missed", provider_id="2"),
    ]
    monkeypatch.setattr(type(provider), "keeps_inbound", True)
    monkeypatch.setattr(provider, "missed", lambda _since: missed, raising=False)
    gateway.recovery.recover_all()  # the very first time only notes the time
    assert len(kept(gateway)) == 1
    gateway.recovery.recover_all()
    gateway.recovery.recover_all()
    work(gateway)
    assert [p["data"]["message"]["text"] for p in receiver.wait_for(2)] == ["by webhook", "missed"]
    assert len(kept(gateway)) == 2


def test_a_pace_of_the_operators_is_kept_in_order(make_gateway: Make) -> None:
    gateway = make_gateway(DESK)
    provider = gateway.providers["sandbox"]
    provider.number_rate = 1.0
    taken = failing(gateway)
    for index in range(5):
        gateway.composer.submit(PHONE, Reply(text=str(index), to=(PEER,)))
    work(gateway)
    assert [message.text for message in taken] == ["0", "1"]
    waiting = [job for m in kept(gateway) for job in jobs_of(gateway, m) if job.state == "due"]
    assert [job.attempts for job in waiting] == [0, 0, 0]
    provider.number_rate = None
    make_due(gateway)
    work(gateway)
    assert [message.text for message in taken] == ["0", "1", "2", "3", "4"]


def test_no_more_is_begun_than_the_carriers_pace_allows(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(DESK, DATABASE_URL=database, SANDBOX_RATE="2")
    for turn in range(20):
        gateway.composer.submit(PHONE, Reply(text="Yes", to=(f"+1303555{turn:04}",)))
    begun: list[Job] = []
    gateway.delivery.deliver("w", lambda _: 16, begun.append)
    assert len(begun) == 3, "the burst of a second, and the next"
    for job in begun:
        gateway.delivery.perform(job)
    begun.clear()
    gateway.delivery.deliver("w", lambda _: 16, begun.append)
    assert begun == [], "nothing is taken in hand only to be put back"
