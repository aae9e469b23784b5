"""A channel at which one account registers: one worker listens, and another takes over."""

import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Event, Thread

import pytest

from services.core.errors import Kind, PushError, StorageUnwell
from services.core.messages import Device, Notice
from services.delivery import inbound_channels, task_leases
from services.delivery.inbound_channels import InboundChannel
from services.gateway import Gateway
from services.push.base import (
    ExtensionReachable,
    InboundEvent,
    InboundText,
    Reconnected,
    TwoWayChannel,
)
from services.store import jobs, leases, workers
from services.store.database import clock
from services.store.jobs import Job, JobKind
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_text, stored_messages
from tests.waiting import PATIENCE, eventually

Make = Callable[..., Gateway]
Events = Generator[InboundEvent | None, None, None]


class Line(TwoWayChannel):
    """A channel whose events a test makes."""

    name = "line"
    title = "Line"
    per_device = False
    one_listener = True
    keep_seconds = 1.0
    config_wait = 60.0

    def __init__(self, connect: Callable[[], object] = list) -> None:
        self.connect = connect
        self.events: Queue[InboundEvent] = Queue()
        self.listening = False
        self.told: list[tuple[str, str]] = []
        self.watched: list[set[str]] = []

    def notify(self, device: Device, notice: Notice) -> None:
        raise AssertionError

    def inbound_events(self) -> Events:
        self.listening = True
        try:
            self.connect()
            yield None
            while True:
                try:
                    yield self.events.get(timeout=0.05)
                except Empty:
                    yield None
        finally:
            self.listening = False

    def report_kept(self, kept: InboundText) -> None:
        self.told.append((kept.id, "kept"))

    def report_refusal(self, refused: InboundText, reason: str) -> None:
        self.told.append((refused.id, reason))

    def report_not_kept(self, lost: InboundText, reason: str) -> None:
        self.told.append((lost.id, "not kept"))

    def watch(self, extensions: Collection[str]) -> None:
        self.watched.append(set(extensions))

    def close(self) -> None:
        pass


@dataclass
class Listener:
    """One worker that listens; it ends cleanly, or as one that hangs."""

    gateway: Gateway
    name: str
    line: Line = field(default_factory=Line)
    alive: bool = True

    def __post_init__(self) -> None:
        self.gateway.store.write(lambda tx: workers.beat(tx, self.name, clock.now(tx)))
        channel = InboundChannel(self.gateway.store, self.gateway.composer, self.line, self.name)
        self.thread = Thread(target=channel.run, args=(lambda: self.alive,))
        self.thread.start()

    def end(self) -> None:
        self.alive = False
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    running = []

    def start(gateway: Gateway, name: str, line: Line | None = None) -> Listener:
        running.append(Listener(gateway, name, line or Line()))
        return running[-1]

    yield start
    for each in running:
        each.end()


Listen = Callable[..., Listener]


def text(to: str = PEER, *, id: str = "sip:a 1", sender: str | None = None) -> InboundText:
    return InboundText("201", to, "Until six", id, sender)


def test_one_of_two_workers_listens_and_the_other_takes_over(
    make_gateway: Make, listen: Listen, database: str
) -> None:
    gateways = [make_gateway(NUMBER_ENTRY, DATABASE_URL=database) for _ in range(2)]
    first = listen(gateways[0], "first")
    eventually(lambda: first.line.listening)
    second = listen(gateways[1], "second")
    time.sleep(3 * inbound_channels.LEASE_LOOK_SECONDS)
    assert (first.line.listening, second.line.listening) == (True, False)
    first.end()
    eventually(lambda: second.line.listening)
    assert not first.line.listening


def test_a_worker_that_lost_its_lease_stops_listening(make_gateway: Make, listen: Listen) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    first = listen(gateway, "first")
    eventually(lambda: first.line.listening)
    gateway.store.write(lambda tx: workers.beat(tx, "other", clock.now(tx)))
    gateway.store.write(lambda tx: leases.release(tx, ["listen:line"], "first"))
    gateway.store.write(lambda tx: leases.acquire(tx, ["listen:line"], "other", 60.0))
    eventually(lambda: not first.line.listening)
    gateway.store.write(lambda tx: leases.release(tx, ["listen:line"], "other"))
    eventually(lambda: first.line.listening)


@pytest.mark.parametrize("is_refused", [False, True])
def test_one_that_connects_slowly_or_is_refused_keeps_its_lease(
    make_gateway: Make, listen: Listen, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    monkeypatch.setattr(task_leases, "LEASE_SECONDS", 3.0)
    monkeypatch.setattr(task_leases, "RENEW_SECONDS", 0.5)
    gateway = make_gateway(NUMBER_ENTRY)
    tried, connected = Event(), Event()

    def connect() -> None:
        tried.set()
        if is_refused:
            raise PushError("The password is wrong.", Kind.CONFIG)
        connected.wait(PATIENCE)

    listen(gateway, "first", Line(connect))
    assert tried.wait(PATIENCE)
    second = listen(gateway, "second")
    time.sleep(1.5 * task_leases.LEASE_SECONDS)
    assert not second.line.listening
    connected.set()


def test_after_a_fault_the_same_worker_listens_again(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    gateway.store.write(lambda tx: workers.beat(tx, "first", clock.now(tx)))
    line = Line()
    channel = InboundChannel(gateway.store, gateway.composer, line, "first")
    with monkeypatch.context() as patched:
        patched.setattr(line, "watch", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            channel.run(lambda: True)
    line.events.put(text())
    channel.run(lambda: not line.told)
    assert line.told == [("sip:a 1", "kept")]


def test_a_text_is_acknowledged_when_it_is_kept_and_stored_once(
    make_gateway: Make, listen: Listen
) -> None:
    worker = listen(make_gateway(NUMBER_ENTRY), "first")
    worker.line.events.put(text())
    worker.line.events.put(text())
    eventually(lambda: len(worker.line.told) == 2)
    assert worker.line.told == [("sip:a 1", "kept")] * 2
    assert [one.text for one in stored_messages(worker.gateway)] == ["Until six"]


def test_a_text_leaves_by_the_number_that_its_user_chose(
    make_gateway: Make, listen: Listen
) -> None:
    other = {**NUMBER_ENTRY, "number": "+12025550101"}
    worker = listen(make_gateway(NUMBER_ENTRY, other), "first")
    worker.line.events.put(text(sender="+12025550101"))
    worker.line.events.put(text(id="sip:b 1", sender="+12025550102"))
    eventually(lambda: len(worker.line.told) == 2)
    assert [one.number for one in stored_messages(worker.gateway)] == ["+12025550101"]
    assert worker.line.told[1] == ("sip:b 1", "+12025550102 is not a number of yours.")


def test_a_text_that_cannot_be_kept_is_reported_as_that(
    make_gateway: Make, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)

    def unwell(*_: object) -> None:
        raise StorageUnwell("The disk is full.")

    monkeypatch.setattr(gateway.composer, "submit", unwell)
    worker = listen(gateway, "first")
    worker.line.events.put(text())
    eventually(lambda: worker.line.told)
    assert worker.line.told == [("sip:a 1", "not kept")]


def test_phones_with_waiting_texts_are_watched_and_get_them_when_they_are_online(
    make_gateway: Make, listen: Listen, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    monkeypatch.setattr(inbound_channels, "WATCH_SECONDS", 0.1)
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    receive_text(gateway)
    (message,) = stored_messages(gateway)
    worker = listen(gateway, "first")
    eventually(lambda: worker.line.watched)
    assert worker.line.watched[-1] == set()
    later = gateway.store.read(clock.now) + 600
    new = [
        Job(JobKind.PUSH, message.id, "push:line", f"line:{each}", "received", due=later)
        for each in ("201", "202")
    ]
    gateway.store.write(lambda tx: jobs.add(tx, new))
    eventually(lambda: worker.line.watched[-1] == {"201", "202"})
    worker.line.events.put(ExtensionReachable("202"))
    eventually(lambda: worker.line.watched[-1] == {"201"})
    worker.line.events.put(text())  # who writes is online as well
    eventually(lambda: worker.line.watched[-1] == set())
    third = Job(JobKind.PUSH, message.id, "push:line", "line:203", "received", due=later)
    gateway.store.write(lambda tx: jobs.add(tx, [third]))
    eventually(lambda: worker.line.watched[-1] == {"203"})
    worker.line.events.put(Reconnected())
    eventually(lambda: worker.line.watched[-1] == set())
    assert {one.number for one in stored_messages(gateway)} == {NUMBER}
