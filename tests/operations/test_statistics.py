"""Statistics by the hour: counted once, moved as statuses change, kept for 90 days."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, text, update

from app import create_app
from services.core.messages import Message, Status
from services.gateway import Gateway
from services.operations.statistics import MEDIAN, MOST, OPEN, Activity, activity_of
from services.operations.statistics import count as count_all
from services.store import activity, jobs, messages, push_times, statuses
from services.store.activity import HOUR, KEPT_HOURS, MessageGroup
from services.store.database.schema import activity_open
from services.store.database.schema import jobs as jobs_table
from services.store.database.schema import messages as messages_table
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER

MakeGateway = Callable[..., Gateway]
NUMBERS = (NUMBER, "+12025550101", "+12025550102")
ADVANCED = (Status.SENDING, Status.UNKNOWN, Status.SENT, Status.DELIVERED, Status.FAILED)
_ids = count(1)


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(database or None, tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def add_inbound(
    store: Store, hours_ago: float = 0.0, number: str = NUMBER, by: str = "twilio"
) -> str:
    """A text came in some time ago; returns its id."""
    message = Message(
        "in", number, PEER, text="x", provider=by, provider_id=f"a{next(_ids)}",
        created_at=time.time() - hours_ago * HOUR,
    )  # fmt: skip
    kept = store.write(lambda tx: messages.add_inbound(tx, message))
    assert kept is not None
    return kept.id


def add_outbound(
    store: Store, hours_ago: float = 0.0, number: str = NUMBER, by: str = "twilio"
) -> str:
    """A text was written some time ago; returns its id."""
    message = Message(
        "out", number, PEER, text="x", provider=by, status=Status.QUEUED, extension="201",
        created_at=time.time() - hours_ago * HOUR,
    )  # fmt: skip
    return store.write(lambda tx: messages.add_outbound(tx, message, "f")).id


def advance(store: Store, message_id: str, status: Status) -> None:
    store.write(lambda tx: statuses.advance(tx, message_id, status))


def count_messages(store: Store) -> None:
    while store.write(activity.count):
        pass


def hour_counts(store: Store) -> dict[tuple[int, MessageGroup], int]:
    found = store.read(lambda tx: activity.counts(tx, 0, 1))
    return {key: number for key, number in found.items() if number}


def expected_counts(store: Store) -> dict[tuple[int, MessageGroup], int]:
    """What should have been counted."""
    rows = store.read(lambda tx: tx.execute(select(messages_table)).all())
    kinds = (
        (int(row.created_at // HOUR), MessageGroup(row.provider, row.direction, Status(row.status)))
        for row in rows
    )
    return dict(Counter(kinds))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whichever_order_it_is_counted_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(activity, "BATCH", dice.choice((1, 3, 7, 500)))
    sent: list[str] = []
    for _ in range(120):
        way = dice.random()
        where = {"number": dice.choice(NUMBERS), "by": dice.choice(("twilio", "wavix"))}
        if way < 0.2:
            add_inbound(store, dice.uniform(0, 50), **where)
        elif way < 0.4 or not sent:
            sent.append(add_outbound(store, dice.uniform(0, 50), **where))
        elif way < 0.75:
            advance(store, dice.choice(sent), dice.choice(ADVANCED))
        elif way < 0.8:
            failed = dice.choice(sent)
            row = store.read(partial(messages.by_id, message_id=failed))
            if row is not None and row.status is Status.FAILED:
                store.write(partial(statuses.requeue, message_id=failed))
        elif way < 0.85:
            store.write(partial(messages.touch, message_id=dice.choice(sent)))
        elif way < 0.97:
            store.write(activity.count)  # a step, which may leave the rest to the next
        else:
            with pytest.raises(ZeroDivisionError):
                store.write(lambda tx: activity.count(tx) / 0)  # killed before the commit
    count_messages(store)
    assert hour_counts(store) == expected_counts(store)
    count_messages(store)
    assert hour_counts(store) == expected_counts(store)
    assert not store.read(activity.is_behind)


def test_what_has_arrived_is_not_remembered(store: Store) -> None:
    arrived, open_one = add_outbound(store), add_outbound(store)
    add_inbound(store)
    count_messages(store)
    advance(store, arrived, Status.DELIVERED)
    count_messages(store)
    known = store.read(lambda tx: tx.execute(select(activity_open.c.status)).scalars().all())
    assert list(known) == ["queued"]
    advance(store, open_one, Status.FAILED)
    count_messages(store)
    assert hour_counts(store) == expected_counts(store)


def test_the_counts_outlive_the_messages_for_ninety_days(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_inbound(store, KEPT_HOURS + 2)
    add_outbound(store, 5)
    add_inbound(store, 3)
    count_messages(store)
    assert sum(hour_counts(store).values()) == 2  # what is older than that is not counted at all
    store.write(lambda tx: tx.execute(delete(messages_table)))
    add_outbound(store, 1)
    count_messages(store)
    assert sum(hour_counts(store).values()) == 3
    assert not store.write(activity.prune)
    assert sum(hour_counts(store).values()) == 3
    later = time.time() + (KEPT_HOURS - 4) * HOUR
    monkeypatch.setattr("services.store.activity.time.time", lambda: later)
    assert not store.write(activity.prune)
    assert sum(hour_counts(store).values()) == 2  # that of five hours ago is 90 days old by then
    assert len(store.read(lambda tx: tx.execute(select(activity_open)).all())) == 1


def test_many_old_ones_are_forgotten_in_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        add_outbound(store)
    count_messages(store)
    monkeypatch.setattr(activity, "PRUNE_BATCH", 2)
    later = time.time() + (KEPT_HOURS + 2) * HOUR
    monkeypatch.setattr("services.store.activity.time.time", lambda: later)
    assert [store.write(activity.prune) for _ in range(3)] == [True, True, False]
    assert hour_counts(store) == {}
    assert store.read(lambda tx: tx.execute(select(activity_open)).all()) == []


def push(store: Store, seconds: float | None, *, minutes_ago: float = 10.0, **job: object) -> None:
    """A push that took so long, or (``None``) that was not taken yet."""
    message_id = add_inbound(store)
    began = time.time() - minutes_ago * 60

    def keep(tx: Connection) -> None:
        told = {"about": "received", "kind": JobKind.PUSH} | job
        kind, about = JobKind(str(told["kind"])), str(told["about"])
        jobs.add(tx, [Job(kind, message_id, "push:ntfy", target=f"d{next(_ids)}", about=about)])
        done = {"state": "done", "attempts": 1} if seconds is not None else {}
        changes = {"created_at": began, "updated_at": began + (seconds or 0.0), **done}
        changes |= {name: value for name, value in job.items() if name not in ("kind", "about")}
        tx.execute(update(jobs_table).where(jobs_table.c.message_id == message_id).values(changes))

    store.write(keep)


def pushes(store: Store) -> Counter[int]:
    while store.write(push_times.count):
        pass
    found: Counter[int] = Counter()
    for (_, within), number in store.read(lambda tx: push_times.counts(tx, 0, 24)).items():
        found[within] += number
    return found


def test_pushes_are_counted_by_how_long_they_took(store: Store) -> None:
    for seconds in (0.004, 0.04, 0.05, 0.3, 119, 121):
        push(store, seconds)
    push(store, None)  # due, and nobody came for it
    push(store, None, state="leased", attempts=1)
    assert pushes(store) == {10: 1, 50: 2, 500: 1, 120_000: 1, push_times.LATE: 3}
    assert not store.read(push_times.is_behind)
    assert pushes(store).total() == 8


def test_what_is_no_push_of_a_new_text_is_not_counted(store: Store) -> None:
    push(store, 0.1, about="read")
    push(store, 0.1, kind=JobKind.EMAIL)
    push(store, None, state="dead")
    push(store, None, due=time.time() + 3600)  # somebody's quiet hours
    push(store, 0.02)
    assert pushes(store) == {25: 1}


def test_a_push_is_left_alone_for_two_minutes(store: Store) -> None:
    push(store, 0.02)
    push(store, None, minutes_ago=1)
    push(store, 0.02)  # its turn comes when that before it had its time
    assert pushes(store) == {25: 1}
    store.write(
        lambda tx: tx.execute(update(jobs_table).values(created_at=jobs_table.c.created_at - 90))
    )
    assert store.read(push_times.is_behind)
    assert pushes(store) == {25: 1, 120_000: 1, push_times.LATE: 1}


def test_the_worker_counts_and_rests_when_nothing_happens(
    make_gateway: MakeGateway, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    add_inbound(gateway.store)
    push(gateway.store, 0.02)
    with gateway.new_worker() as worker:
        worker.step()
        worker.finish(lambda: None)
    assert hour_counts(gateway.store) == expected_counts(gateway.store)
    assert pushes(gateway.store) == {25: 1}

    def refuse(work: object) -> None:
        raise AssertionError("There is nothing to write.")

    monkeypatch.setattr(gateway.store, "write", refuse)
    count_all(gateway.store)


def test_steps_of_some_hours(make_gateway: MakeGateway, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    for hours_ago in (0, 1, 1, 30, 24 * 8):
        add_inbound(gateway.store, hours_ago)
    done, lost, waits = (add_outbound(gateway.store, by="wavix") for _ in range(3))
    for message_id, status in ((done, "delivered"), (lost, "failed"), (waits, "sent")):
        advance(gateway.store, message_id, Status(status))
    for seconds in (0.02, 0.02, 0.9, 300):
        push(gateway.store, seconds)
    count_all(gateway.store)
    day, week = activity_of(gateway.store, 24), activity_of(gateway.store, 28, 6)
    assert (len(day.points), len(week.points)) == (24, 28)
    assert {point.at % (6 * HOUR) for point in week.points} == {0.0}
    assert day.total.received("twilio") == 7
    assert week.total.received() == 8
    figures = day.total
    assert (figures.received("wavix"), figures.sent(), figures.sent(carrier="twilio")) == (0, 3, 0)
    assert figures.rate() == 0.5
    assert figures.rate("twilio") is None
    assert figures.sent(OPEN) == 1
    assert (figures.pushed(MEDIAN), figures.pushed(0.75), figures.pushed(MOST)) == (0.025, 1.0, inf)
    assert list(day.carriers.items()) == [("twilio", "Twilio"), ("wavix", "Wavix")]
    empty = Activity(1, day.points[:2]).total
    assert (empty.rate(), empty.pushed(MEDIAN)) == (None, None)


def test_the_command_says_the_same(tmp_path: Path) -> None:
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)})
    gateway: Gateway = app.extensions["gateway"]
    shell = app.test_cli_runner()
    empty = shell.invoke(args=["activity"])
    assert "No messages in this time." in empty.output
    add_inbound(gateway.store)
    advance(gateway.store, add_outbound(gateway.store), Status.DELIVERED)
    push(gateway.store, 300)
    count_all(gateway.store)
    told = json.loads(shell.invoke(args=["activity", "--hours", "2", "--json"]).output)
    assert told["total"]["received"] == 2
    assert told["total"]["carriers"]["twilio"]["delivered"] == 1
    assert told["total"]["delivery_rate"] == 1.0
    assert told["total"]["pushed_seconds"] == {"p50": "later", "p95": "later"}
    assert [point["received"] for point in told["points"]] in ([0, 2], [1, 1])
    days = shell.invoke(args=["activity", "--days", "3"]).output
    assert "Twilio" in days
    assert "█" in days
    assert "later" in days
    assert shell.invoke(args=["activity", "--days", "3", "--hours", "3"]).exit_code == 2
    assert shell.invoke(args=["activity", "--days", "91"]).exit_code == 2
    gateway.close()


def test_no_count_looks_through_all_messages(store: Store) -> None:
    """What has changed is found by the index of each number."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's plan depends on what is stored.")
    statement = text(f"EXPLAIN QUERY PLAN {activity._CHANGED.text}")
    plan = store.read(lambda tx: tx.execute(statement, {"mark": 1, "top": 2}).all())
    steps = [row.detail for row in plan]
    assert any("messages_by_change (number=? AND changed>? AND changed<?)" in s for s in steps), (
        steps
    )
    assert not any(step.startswith("SCAN messages") and "INDEX" not in step for step in steps)
