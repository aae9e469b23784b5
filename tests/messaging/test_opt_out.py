"""Opt-out by whole flows: recorded, asked again before each send, cancelled, lifted, proved."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import AutomaticText, DeliveryStatus, Message, Parsed, Status
from services.core.phone_numbers import EVERY
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.messaging.store_parts import CallParts
from services.store import (
    blocked_senders,
    carrier_events,
    jobs,
    messages,
    opt_outs,
    statuses,
    transcripts,
    workers,
)
from services.store.carrier_events import CarrierEventKind
from services.store.database import clock
from services.store.database.schema import messages as message_table
from services.store.database.schema import opt_out_flags
from services.store.jobs import Job
from services.store.opt_outs import OptOut, Source
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import (
    PHONE,
    Make,
    failing,
    jobs_of,
    make_due,
    receive_text,
    run_due_jobs,
    store_parts,
    stored,
    stored_messages,
    webhook_call,
)

OTHER = "+12025550111"
THIRD = "+13035550188"


def send(gateway: Gateway, text: str = "x", **asked: Any) -> Message:
    to = asked.pop("to", (PEER,))
    return gateway.composer.submit(PHONE, Reply(text=text, to=to, **asked))[0]


def known(gateway: Gateway, peer: str = PEER) -> list[OptOut]:
    return gateway.store.read(lambda tx: opt_outs.of(tx, peer))


def process_parts(gateway: Gateway, *parts: Parsed) -> None:
    """Store parts of a new call with their answers, as the worker does."""
    call = CallParts("sandbox", webhook_call(gateway), parts)
    gateway.store.write(lambda tx: gateway.replay.parts.store(tx, [call]))


def texts(taken: list[Message]) -> list[str]:
    return [message.text for message in taken]


def answers(gateway: Gateway) -> list[Message]:
    return [message for message in stored_messages(gateway) if message.automatic is not None]


def test_after_stop_the_person_gets_the_confirmation_and_nothing_more(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, APP_NAME="Harbour Cafe")
    taken = failing(gateway)
    receive_text(gateway, "Stop.")
    with pytest.raises(RequestRefused, match=r"has opted out .*until they text START") as refused:
        send(gateway)
    run_due_jobs(gateway)
    assert (refused.value.code, refused.value.status) == ("opted_out", 403)
    assert texts(taken) == [
        "Harbour Cafe: you are unsubscribed and get no more texts from this number. Reply START to "
        "resubscribe."
    ]
    [proof] = known(gateway)
    [stop] = [m for m in stored_messages(gateway) if m.direction == "in"]
    assert (proof.number, proof.source, proof.detail) == (NUMBER, Source.KEYWORD, "STOP")
    assert (proof.message_id, proof.at) == (stop.id, stop.created_at)


@pytest.mark.parametrize(
    "text",
    ["STOP\n\nSent from my iPhone", "Stop.\nEnviado desde mi iPhone", "Arrêt\nEnvoyé de mon iPhone",
     "STOP\r\n\r\n--\r\nSent from my T-Mobile 4G LTE Device\r\nGet Outlook for Android",
     "stop\nVon meinem Samsung Galaxy Smartphone gesendet."],
)  # fmt: skip
def test_stop_with_the_signature_of_a_phone_is_an_opt_out(make_gateway: Make, text: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, text)
    (found,) = gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert found.detail in ("STOP", "ARRET")
    with pytest.raises(RequestRefused, match="opted out"):
        send(gateway)


@pytest.mark.parametrize(
    ("text", "is_suggested"),
    [("S T O P", True), ("🛑", True), ("ALTO", True), ("STOP Sent from my iPhone", True),
     ("We stop here\nSent from my iPhone", False), ("STOP\nat the corner", False),
     ("👍", False), ("Sent from my iPhone", False)],
)  # fmt: skip
def test_what_is_probably_stop_is_suggested(
    make_gateway: Make, text: str, is_suggested: bool
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, text)
    assert gateway.store.read(lambda tx: opt_outs.of(tx, PEER)) == []
    flagged = gateway.store.read(lambda tx: tx.scalar(select(opt_out_flags.c.message_id)))
    assert (flagged is not None) == is_suggested


def test_what_is_queued_is_cancelled_with_the_reason(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway, SendError("Busy.", Kind.RETRY))
    retried, waiting = send(gateway, "one"), send(gateway, "two")
    other = send(gateway, "other", to=(THIRD,))
    gateway.delivery.perform(leased(gateway)[0])
    receive_text(gateway, "STOP")
    for message in (retried, waiting):
        now = stored(gateway, message)
        assert (now.status, now.error_code) == (Status.FAILED, "opted_out")
        assert "has opted out" in str(now.error_reason)
    make_due(gateway)
    run_due_jobs(gateway)
    assert "other" in texts(taken)
    assert not {"one", "two"} & {*texts(taken)}
    assert stored(gateway, other).status is Status.SENT
    gateway.operator_actions.retry(waiting.id)
    run_due_jobs(gateway)
    assert "two" not in texts(taken)


def test_a_cancelled_text_is_reported_to_the_apps_server(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    failing(gateway)
    message = send(gateway)
    receive_text(gateway, "STOP")
    run_due_jobs(gateway)
    told = [
        push["data"]["message"]["error"]
        for push in receiver.pushes
        if push["data"]["message"]["id"] == message.id
    ]
    assert [error["code"] for error in told] == ["opted_out"]


def test_a_refusal_of_ours_is_no_error_of_the_carrier(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    failing(gateway)
    message = send(gateway)
    [job] = leased(gateway)
    receive_text(gateway, "STOP")
    gateway.delivery.perform(job)
    assert stored(gateway, message).error_code == "opted_out"
    shown = gateway.store.read(lambda tx: carrier_events.of(tx, "sandbox"))
    assert CarrierEventKind.ERROR not in shown


def leased(gateway: Gateway, owner: str = "w") -> list[Job]:
    found: list[Job] = []
    gateway.store.write(lambda tx: workers.beat(tx, owner, clock.now(tx)))
    gateway.delivery.deliver(owner, lambda _: 1, found.append)
    return found


def test_start_and_only_start_ends_it(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway)
    for text in ("STOP", "hello", "start now please"):
        receive_text(gateway, text)
    with pytest.raises(RequestRefused):
        send(gateway)
    receive_text(gateway, "Start")
    send(gateway, "welcome back")
    run_due_jobs(gateway)
    assert texts(taken)[1:] == ["welcome back"]
    [proof] = known(gateway)
    assert proof.lifted_by == "START from the person"


@pytest.mark.parametrize(("scope", "allowed"), [("number", True), ("all", False)])
def test_the_scope_says_which_numbers_are_meant(
    make_gateway: Make, scope: str, allowed: bool
) -> None:
    entries = [NUMBER_ENTRY, {**NUMBER_ENTRY, "number": OTHER}]
    gateway = make_gateway(*entries, OPT_OUT_SCOPE=scope)
    receive_text(gateway, "STOP")
    if allowed:
        send(gateway, sender=OTHER)
    else:
        with pytest.raises(RequestRefused, match="all numbers"):
            send(gateway, sender=OTHER)
    assert [one.number for one in known(gateway)] == [NUMBER if allowed else EVERY]


def test_a_group_text_names_who_has_opted_out(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)

    def receive(text: str) -> None:
        part = Message("in", NUMBER, PEER, text, participants=(PEER, THIRD), provider_id=text)
        process_parts(gateway, part)

    receive("hi all")
    [group] = stored_messages(gateway)
    limits = replace(gateway.providers["sandbox"].limits, recipients=5)
    gateway.providers["sandbox"].limits = limits
    queued = send(gateway, "queued", to=(), conversation_id=group.conversation_id)
    receive("STOP")
    assert stored(gateway, queued).error_code == "opted_out"
    with pytest.raises(RequestRefused, match=rf"^\{PEER} has opted out"):
        send(gateway, to=(), conversation_id=group.conversation_id)
    assert queued.recipients == (PEER, THIRD)
    assert [message.recipients for message in answers(gateway)] == [(PEER,)]
    assert known(gateway, THIRD) == []


@pytest.mark.parametrize("code", ["21610", "21614"])
def test_a_carriers_code_for_an_opt_out_is_recorded(make_gateway: Make, code: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    sandbox = gateway.providers["sandbox"]
    sandbox.opt_out_codes = frozenset({"21610"})  # type: ignore[misc]
    failing(gateway, SendError("Refused.", Kind.REFUSED, code=code))
    message = send(gateway)
    run_due_jobs(gateway)
    found = [(one.source, one.message_id) for one in known(gateway)]
    assert found == ([(Source.CARRIER, message.id)] if code == "21610" else [])
    assert answers(gateway) == []


def test_a_receipt_with_such_a_code_is_recorded_once(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    sandbox = gateway.providers["sandbox"]
    sandbox.opt_out_codes = frozenset({"4475"})  # type: ignore[misc]
    failing(gateway)
    message = send(gateway)
    run_due_jobs(gateway)
    receipt = DeliveryStatus(
        Status.FAILED, "failed", message_id=message.id, peer=PEER, code="4475", reason="Out."
    )
    call = webhook_call(gateway)
    store_parts(gateway, sandbox, call, [receipt])
    assert [one.source for one in known(gateway)] == [Source.CARRIER]
    receive_text(gateway, "START")
    store_parts(gateway, sandbox, call, [receipt, replace(receipt, event="failed again")])
    assert [one.lifted_at is not None for one in known(gateway)] == [True]


def test_a_confirmation_that_is_late_is_not_sent(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway)
    receive_text(gateway, "STOP")
    earlier = message_table.c.created_at - 301
    gateway.store.write(lambda tx: tx.execute(update(message_table).values(created_at=earlier)))
    run_due_jobs(gateway)
    assert taken == []
    [answer] = answers(gateway)
    assert answer.error_code == "too_late"


def test_an_old_stop_counts_and_is_not_confirmed(make_gateway: Make) -> None:
    """From quarantine or a carrier's list, or after an outage of the worker."""
    gateway = make_gateway(NUMBER_ENTRY)
    sandbox, call = gateway.providers["sandbox"], webhook_call(gateway)
    store_parts(gateway, sandbox, call, [Message("in", NUMBER, PEER, "STOP", provider_id="m1")])
    waited = Message("in", NUMBER, THIRD, "STOP", created_at=time.time() - 301)
    process_parts(gateway, waited)
    assert (len(known(gateway)), len(known(gateway, THIRD))) == (1, 1)
    assert answers(gateway) == []


def test_help_is_answered_also_to_who_has_opted_out_and_not_for_ever(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, OPT_OUT_CONTACT="call 555", OPT_OUT_NAME="Cafe")
    taken = failing(gateway)
    receive_text(gateway, "STOP")
    for at in range(5):
        receive_text(gateway, "HELP", carrier_time=1000.0 * at)
    run_due_jobs(gateway)
    helped = "Cafe: for help contact call 555. Reply STOP to opt out."
    assert texts(taken)[1:] == [helped] * 3


def test_an_answer_that_waits_is_not_cancelled_by_stop(make_gateway: Make) -> None:
    """Nothing is sent in between."""
    gateway = make_gateway(NUMBER_ENTRY)
    taken = failing(gateway)
    for text in ("HELP", "STOP", "hello"):
        receive_text(gateway, text)
    [conversation] = {message.conversation_id for message in stored_messages(gateway)}
    kept = gateway.store.read(lambda tx: messages.page(tx, conversation, limit=9))
    assert [message.direction for message in reversed(kept)] == ["in", "out", "in", "out", "in"]
    run_due_jobs(gateway)
    assert [message.automatic for message in taken] == [
        AutomaticText.HELP,
        AutomaticText.CONFIRMATION,
    ]


@pytest.mark.parametrize("peer", ["72404", "365Bank", "+2348031234567"])
def test_who_cannot_or_must_not_be_texted_gets_no_confirmation(
    make_gateway: Make, peer: str
) -> None:
    """SEND_COUNTRIES keeps automatic texts from numbers abroad that earn their owner money."""
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, "STOP", peer=peer)
    assert [message.peer for message in answers(gateway)] == (["72404"] if peer == "72404" else [])
    assert [one.peer for one in known(gateway, peer)] == [peer]


def test_a_blocked_sender_reaches_nobody_but_stop_counts(
    make_gateway: Make, receiver: Receiver
) -> None:
    gateway = make_gateway({**NUMBER_ENTRY, "emails": ["a@example.com"]}, **receiver.env)
    gateway.store.write(lambda tx: blocked_senders.add(tx, PEER, EVERY, "test"))
    receive_text(gateway, "buy this")
    receive_text(gateway, "HELP")
    receive_text(gateway, "STOP")
    [first, *_] = reversed(stored_messages(gateway))
    gateway.store.write(lambda tx: gateway.outcomes.files_settled(tx, first.id))
    assert gateway.channels["webhook"].wants_status_updates
    listed = gateway.store.read(lambda tx: transcripts.page(tx, [NUMBER], "in", limit=9))
    assert listed == []
    kinds = [job.kind for message in stored_messages(gateway) for job in jobs_of(gateway, message)]
    assert kinds == [jobs.JobKind.SEND]
    assert [m.automatic for m in answers(gateway)] == [AutomaticText.CONFIRMATION]
    assert len(known(gateway)) == 1


def test_a_forgotten_person_stays_opted_out_and_can_come_back(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, {**NUMBER_ENTRY, "number": OTHER})
    failing(gateway)
    receive_text(gateway, "please stop texting me", number=OTHER)
    receive_text(gateway, "STOP")
    run_due_jobs(gateway)
    person = gateway.retention.person(PEER)
    gateway.retention.forget(PEER, person)
    flagged = gateway.store.read(lambda tx: tx.execute(select(opt_out_flags)).all())
    assert flagged == []
    [left] = known(gateway)
    assert left.is_forgotten
    assert left.message_id is None
    assert PEER not in str(left)
    with pytest.raises(RequestRefused, match="opted out"):
        send(gateway)
    receive_text(gateway, "START")
    send(gateway)
    assert stored_messages(gateway)[0].status is Status.QUEUED


# No send begins after the opt-out is committed, whatever the order of events

STEPS = ("submit", "lease", "perform", "kill", "stop", "stop meanwhile")


class Killed(BaseException):
    """The process ends here: the send has begun, and its answer is not recorded."""


def orders() -> Iterator[tuple[str, ...]]:
    """Every order of three steps with one STOP and a submitted text, and some longer ones."""
    for length in (2, 3):
        yield from filter(_is_told, itertools.product(STEPS, repeat=length))
    chance = random.Random(17)
    longer = (tuple(chance.choices(STEPS, k=chance.randint(4, 8))) for _ in range(600))
    yield from filter(_is_told, longer)


def _is_told(order: tuple[str, ...]) -> bool:
    stops = order.count("stop") + order.count("stop meanwhile")
    return stops == 1 and "submit" in order


class Run:
    """One order of events for one person: what the carrier is given after the STOP."""

    def __init__(self, gateway: Gateway, peer: str) -> None:
        self.gateway, self.peer = gateway, peer
        self.held: list[Job] = []
        self.stopped = self.kills = self.stops_meanwhile = False
        self.begun_after: list[str] = []
        gateway.providers["sandbox"].send = self.carrier  # type: ignore[method-assign]
        with_paths = type(gateway.media).with_paths

        def meanwhile(message: Message) -> Message:
            if self.stops_meanwhile:
                self.stops_meanwhile = False
                self.stop()
            return with_paths(gateway.media, message)

        gateway.media.with_paths = meanwhile  # type: ignore[method-assign]

    def carrier(self, message: Message) -> str:
        if message.peer == self.peer and self.stopped and message.automatic is None:
            self.begun_after.append(message.text)
        if self.kills:
            raise Killed
        return message.id

    def stop(self) -> None:
        receive_text(self.gateway, "STOP", peer=self.peer)
        self.stopped = True

    def do(self, step: str) -> None:
        if step == "submit":
            with suppress(RequestRefused):
                send(self.gateway, "x", to=(self.peer,))
        elif step == "lease":
            self.held += leased(self.gateway)
        elif step == "stop" or (step == "stop meanwhile" and not self.held):
            self.stop()
        elif self.held:
            self.stops_meanwhile = step == "stop meanwhile"
            self.kills = step == "kill"
            try:
                self.gateway.delivery.perform(self.held.pop(0))
            except Killed:
                self.gateway.store.write(lambda tx: workers.forget_workers(tx, ["w"], 0.0))
                self.gateway.outcomes.reclaim(["w"])
                self.held.clear()
            self.kills = False

    def finish(self) -> None:
        for job in self.held:
            self.gateway.delivery.perform(job)
        make_due(self.gateway)
        run_due_jobs(self.gateway)


def with_peer(tx: Connection, peer: str) -> list[Message]:
    [conversation] = opt_outs.conversations_with(tx, NUMBER, peer)
    return messages.page(tx, conversation, limit=20)


def test_no_send_begins_after_the_opt_out_in_any_order(make_gateway: Make) -> None:
    """With leases held meanwhile, kills between beginning and answer, and retries."""
    no_limits = {f"SEND_PER_{name}": "0" for name in ("MINUTE", "DAY", "PEER_HOUR", "PEER_DAY")}
    gateway = make_gateway(NUMBER_ENTRY, **no_limits)
    for number, order in enumerate(orders()):
        run = Run(gateway, f"+1303555{number:04}")
        for step in order:
            run.do(step)
        run.finish()
        assert run.begun_after == [], order
        newest = gateway.store.read(partial(with_peer, peer=run.peer))
        confirmations = [m.status for m in newest if m.automatic is AutomaticText.CONFIRMATION]
        assert len(confirmations) == 1, order
        assert not [m for m in newest if m.status is Status.QUEUED], order


def test_stop_cannot_come_between_the_question_and_the_beginning_of_a_send(
    make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes: while the one has asked and not begun yet, the other one is to store STOP."""
    one = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    other = make_gateway(DATABASE_URL=database)
    taken = failing(one)
    send(one)
    [job] = leased(one)
    advance = statuses.advance
    stop = threading.Thread(target=receive_text, args=(other, "STOP"))
    waited: list[bool] = []

    def slowly(tx: Connection, message_id: str, status: Status, **more: Any) -> bool:
        if status is Status.SENDING and not waited:
            stop.start()
            stop.join(0.5)
            waited.append(stop.is_alive())
        return advance(tx, message_id, status, **more)

    monkeypatch.setattr(statuses, "advance", slowly)
    one.delivery.perform(job)
    stop.join()
    assert (texts(taken), waited) == (["x"], [True])
    assert len(known(one)) == 1


def test_a_stop_that_is_repeated_and_raced_is_confirmed_once(
    make_gateway: Make, database: str
) -> None:
    """In one batch and at two nodes: the same call again, other calls, and another number's."""
    nodes = [make_gateway(NUMBER_ENTRY, DATABASE_URL=database), make_gateway(DATABASE_URL=database)]
    sandbox = nodes[0].providers["sandbox"]
    same = Message("in", NUMBER, PEER, "STOP", provider_id="m1")
    calls = [webhook_call(nodes[0], text, provider_id=text) for text in ("STOP", "Stop", "QUIT")]
    for call in calls * 2:
        nodes[0].receiver.receive(sandbox, call)
    work = [threading.Thread(target=process_parts, args=(node, same)) for node in nodes * 3] + [
        threading.Thread(target=node.processor.process_all) for node in nodes
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(answers(nodes[0])) == 1
    assert len(known(nodes[0])) == 1
