"""Audit: the invariants hold after any events, and each violation is shown."""

import json
import random
import runpy
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from app import create_app
from services.core.commands import flask_command
from services.core.errors import DeliveryError, Kind, RequestRefused, StorageUnwell
from services.core.messages import Device, Message, WebhookCall
from services.gateway import Gateway, load_environment
from services.messaging.compose import Reply
from services.operations import audit
from services.operations.audit import Audit
from services.store import dead_letters, jobs, messages, quarantine, workers
from services.store.database.migrate import SCRIPTS
from services.store.jobs import Job
from services.store.maintenance import invariant_violations, invariants, pruning, removal
from services.store.maintenance.invariants import Invariant
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.message_steps import receive_call
from tests.operations.test_health import metric
from tests.server import Server

MAILED = NUMBER_ENTRY | {"emails": ["desk@example.com"]}
PASSWORD = "correct horse battery"
PHONE = Device(id="d", extension="201")
Make = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path, database: str) -> Iterator[Make]:
    """The whole application; what comes in is mailed, too."""
    opened: list[Gateway] = []

    def make() -> Flask:
        app = create_app(
            {
                "APP_ENV": "local",
                "STORAGE_PATH": str(tmp_path),
                "DATABASE_URL": database,
                "ADMIN_PASSWORD": PASSWORD,
            }
        )
        opened.append(gateway_of(app))
        return app

    (tmp_path / "message_settings.json").write_text(settings_file(MAILED), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


def gateway_of(app: Flask) -> Gateway:
    gateway: Gateway = app.extensions["gateway"]
    return gateway


def example(gateway: Gateway, words: str = "hi") -> WebhookCall:
    message = Message(direction="in", number=NUMBER, peer=PEER, text=words)
    return gateway.providers["sandbox"].example(message)


def raw(gateway: Gateway, event: object) -> WebhookCall:
    query = f"token={gateway.providers['sandbox'].webhook_token}"
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return WebhookCall("POST", {"content-type": "application/json"}, query, body)


def post_webhook(client: FlaskClient, call: WebhookCall) -> int:
    path = f"/webhook/sandbox/sms?{call.query}"
    return client.post(path, data=call.body, content_type="application/json").status_code


def sql(gateway: Gateway, statement: str) -> None:
    gateway.store.write(lambda tx: tx.execute(text(statement)))


def reasons(found: list[invariant_violations.Violation]) -> dict[str, str]:
    return {violation.invariant: violation.reason for violation in found}


def all_violations(gateway: Gateway) -> list[invariant_violations.Violation]:
    """What a look at what is new finds, and one at everything."""
    return gateway.audit.check() + gateway.audit.check(thorough=True)


def claimed(gateway: Gateway) -> list[Job]:
    found: list[Job] = []
    gateway.store.write(lambda tx: workers.beat(tx, "w", time.time()))
    gateway.delivery.deliver("w", lambda _: 3, found.append)
    return found


# Whatever happens


def test_the_invariants_hold_after_random_events(make_app: Make) -> None:
    """Good, repeated, unreadable and forged calls, receipts, replies, all kinds of failures."""
    app = make_app()
    gateway, client = gateway_of(app), app.test_client()
    chance = random.Random(7)
    calls = [example(gateway)]
    sent: list[Message] = []
    answers = set()

    def receive() -> None:
        calls.append(example(gateway, f"text {len(calls)}"))
        answers.add(post_webhook(client, calls[-1]))

    def repeat() -> None:
        answers.add(post_webhook(client, chance.choice(calls)))

    def unreadable() -> None:
        answers.add(
            post_webhook(client, raw(gateway, chance.choice([b"{", {"to": "x", "from": PEER}])))
        )

    def forge() -> None:
        answers.add(post_webhook(client, WebhookCall("POST", {}, "token=wrong", calls[-1].body)))

    def receipt() -> None:
        of = chance.choice(sent).id if sent else "nobody's"
        answers.add(post_webhook(client, raw(gateway, {"receipt": of, "status": "delivered"})))

    def unwell() -> None:
        def fail(_: Any) -> None:
            raise OperationalError("COMMIT", None, Exception("disk is full"))

        event.listen(gateway.store.engine, "commit", fail)
        receive()
        event.remove(gateway.store.engine, "commit", fail)

    def reply() -> None:
        answer = Reply(text="yes", to=(PEER,), client_id=f"c{chance.randrange(12)}")
        sent.append(gateway.composer.submit(PHONE, answer)[0])

    def refuse() -> None:
        with pytest.raises(RequestRefused):
            gateway.composer.submit(PHONE, Reply(text="", to=(PEER,)))

    def work() -> None:
        kinds = (Kind.RETRY, Kind.REFUSED, Kind.CONFIG)
        for job in claimed(gateway):
            if chance.random() < 0.5:
                gateway.store.write(lambda tx, job=job: jobs.done(tx, job))
            else:
                failure = DeliveryError("It did not work.", chance.choice(kinds))
                gateway.outcomes.settle(job, failure)

    def lapse() -> None:
        claimed(gateway)
        gateway.outcomes.reclaim(["w"])

    def try_again() -> None:
        for dead in gateway.store.read(lambda tx: dead_letters.newest(tx, 2)):
            gateway.operator_actions.retry(dead.message_id, resend_unknown=True)

    def ask_again() -> None:
        for _, message in gateway.store.read(lambda tx: messages.changed_since(tx, [NUMBER], 0, 3)):
            asked = gateway.store.read(partial(jobs.of, message_id=message.id))
            gateway.store.write(partial(jobs.add, new=asked))

    def replay() -> None:
        for row in gateway.store.read(partial(quarantine.waiting, limit=1)):
            with pytest.raises(RequestRefused):
                gateway.replay.replay(row.id)

    def interrupted() -> None:
        def half(tx: Any) -> None:
            quarantine.add(tx, "sandbox", calls[0], "half", b"")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            gateway.store.write(half)

    happenings = (receive, repeat, unreadable, forge, receipt, unwell, reply, refuse, work, lapse)
    happenings += (try_again, ask_again, replay, interrupted)
    for turn in range(250):
        chance.choice(happenings)()
        if turn % 25 == 24:
            assert all_violations(gateway) == []
    assert answers == {200, 401, 503}
    assert sum(gateway.store.read(jobs.counts).values()) > 0


def test_many_at_once_are_counted_once(make_app: Make) -> None:
    """One commit serves several callers, and one of them fails."""
    app = make_app()
    gateway = gateway_of(app)
    same = example(gateway)

    def come(number: int) -> None:
        for turn in range(10):
            receive_call(gateway, gateway.providers["sandbox"], same)
            receive_call(
                gateway, gateway.providers["sandbox"], example(gateway, f"{number}.{turn}")
            )
            with pytest.raises(RequestRefused):
                gateway.composer.submit(PHONE, Reply(text="", to=(PEER,)))

    threads = [threading.Thread(target=come, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all_violations(gateway) == []
    assert gateway.store.read(lambda tx: len(messages.find(tx, limit=100))) == 61


def traffic(server: Server, gateway: Gateway, answers: list[int]) -> None:
    """Bring every text twice until the server is gone."""
    while True:
        call = example(gateway)
        address = f"{server.url}/webhook/sandbox/sms?{call.query}"
        try:
            for _ in range(2):
                answers.append(requests.post(address, data=call.body, timeout=5).status_code)
        except requests.RequestException:
            return


@pytest.mark.processes
def test_the_invariants_hold_after_kills(tmp_path: Path, database: str) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(settings_file(MAILED), encoding="utf-8")
    server = Server(storage, {"DATABASE_URL": database})
    known = ("APP_ENV", "APP_KEY", "STORAGE_PATH")
    probe = Gateway(load_environment({name: server.env[name] for name in known}))
    for _ in range(3):
        server.start()
        answers: list[int] = []
        senders = [
            threading.Thread(target=traffic, args=(server, probe, answers)) for _ in range(3)
        ]
        for sender in senders:
            sender.start()
        while answers.count(200) < 60 and server.is_running():
            time.sleep(0.01)
        server.kill_tree()
        for sender in senders:
            sender.join()
        told = server.flask("messages", "check", "--json")
        assert told.returncode == 0, told.stdout + told.stderr
        assert json.loads(told.stdout)["well"] is True
        assert answers.count(200) >= 60
    probe.close()


def test_removed_messages_that_are_counted_violate_nothing(make_app: Make) -> None:
    gateway = gateway_of(make_app())
    provider = gateway.providers["sandbox"]
    for number in range(4):
        receive_call(gateway, provider, example(gateway, str(number)))
    receive_call(gateway, provider, raw(gateway, b"{"))
    gateway.audit.check()
    done, dead, *_ = claimed(gateway)
    gateway.store.write(lambda tx: jobs.done(tx, done))
    gateway.store.write(lambda tx: jobs.give_up(tx, dead, "no"))

    def prune(tx: Connection) -> None:
        ids = [done.message_id, dead.message_id]
        assert sorted(removal.remove(tx, ids)) == sorted(ids)
        assert pruning.remove_rest(tx, before=time.time() + 1) == 1

    gateway.store.write(prune)
    assert all_violations(gateway) == []
    receive_call(gateway, provider, example(gateway, "newer"))
    assert all_violations(gateway) == []


def test_messages_older_than_the_audit_counters_are_counted(make_app: Make) -> None:
    gateway = gateway_of(make_app())
    receive_call(gateway, gateway.providers["sandbox"], example(gateway))
    receive_call(gateway, gateway.providers["sandbox"], raw(gateway, b"{"))
    gateway.composer.submit(PHONE, Reply(text="yes", to=(PEER,)))
    job = claimed(gateway)[0]
    gateway.store.write(lambda tx: jobs.done(tx, job))
    (script,) = (SCRIPTS / "versions").glob("*_ledger.py")
    upgrade = runpy.run_path(str(script))["upgrade"]

    def begin_anew(tx: Any) -> None:
        tx.execute(text("DROP TABLE ledger"))
        tx.execute(text("DROP TABLE breaches"))
        with Operations.context(MigrationContext.configure(tx)):
            upgrade()
        for name in ("calls_received", "calls_processed"):
            tx.execute(text(f"ALTER TABLE ledger ADD COLUMN {name} BIGINT NOT NULL DEFAULT 0"))

    gateway.store.write(begin_anew)
    receive_call(gateway, gateway.providers["sandbox"], example(gateway, "later"))
    assert all_violations(gateway) == []


# Each violation is shown


def reply_to_somebody(gateway: Gateway) -> None:
    gateway.composer.submit(PHONE, Reply(text="yes", to=(PEER,)))


def keep_no_message(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(messages, "add_all_inbound", lambda tx, new: [None] * len(new))
        receive_call(gateway, gateway.providers["sandbox"], example(gateway, "swallowed"))


def lose_a_message(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    last = "(SELECT max(seq) FROM messages)"
    first = "(SELECT id FROM messages ORDER BY seq LIMIT 1)"
    sql(gateway, f"UPDATE jobs SET message_id = {first}, about = id")
    sql(gateway, f"DELETE FROM messages WHERE seq = {last}")


def lose_a_call(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "DELETE FROM quarantine")


def lose_a_job(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "DELETE FROM jobs WHERE kind = 'email' AND state = 'due'")


def forget_what_was_done(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "DELETE FROM jobs WHERE state = 'done'")


def send_without_a_job(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(jobs, "add", lambda tx, new: None)
        reply_to_somebody(gateway)


def lease_to_a_ghost(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "UPDATE jobs SET state = 'leased', owner = 'ghost', updated_at = updated_at - 90"
        " WHERE state = 'due'")  # fmt: skip


def leave_undone(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "UPDATE jobs SET due = due - 3600 WHERE state = 'due'")


def turn_the_sequence_back(gateway: Gateway, _: pytest.MonkeyPatch) -> None:
    sql(gateway, "UPDATE counters SET value = 1 WHERE name = 'seq'")


FAULTS: list[tuple[Callable[[Gateway, pytest.MonkeyPatch], None], Invariant, str]] = [
    (keep_no_message, Invariant.INTAKE, "repeat, receipt nor unreadable call: 1."),
    (lose_a_message, Invariant.MESSAGES, "Messages that were kept and are gone: 1."),
    (lose_a_call, Invariant.QUARANTINE, "Unreadable carrier messages that are gone: 1."),
    (lose_a_job, Invariant.JOBS, "to be made and are gone undone: 1."),
    (forget_what_was_done, Invariant.DONE, "no longer noted: 1."),
    (send_without_a_job, Invariant.SENDS, "Texts in the queue that nothing will send: 1."),
    (lease_to_a_ghost, Invariant.LEASES, "in the hands of a worker that is gone: 1."),
    (leave_undone, Invariant.OVERDUE, "What is due for email ("),
    (turn_the_sequence_back, Invariant.SEQUENCE, "new messages get lost: 1."),
]
AFTER_A_LOOK_AT_EVERYTHING = {Invariant.MESSAGES, Invariant.QUARANTINE, Invariant.DONE}
SETTLED = {
    Invariant.INTAKE,
    Invariant.MESSAGES,
    Invariant.QUARANTINE,
    Invariant.JOBS,
    Invariant.DONE,
    Invariant.SEQUENCE,
}


@pytest.fixture
def busy(make_app: Make) -> Flask:
    """A message with a mail that was sent, another with one that waits, a call in quarantine."""
    app = make_app()
    gateway = gateway_of(app)
    receive_call(gateway, gateway.providers["sandbox"], example(gateway, "first"))
    (job,) = claimed(gateway)
    gateway.store.write(lambda tx: jobs.done(tx, job))
    receive_call(gateway, gateway.providers["sandbox"], raw(gateway, b"{"))
    gateway.audit.check()
    receive_call(gateway, gateway.providers["sandbox"], example(gateway, "second"))
    assert gateway.audit.check() == []
    return app


def shown_violations(app: Flask) -> tuple[list[str], set[str]]:
    """The reasons in ``/ready``, and the violated invariants in ``/metrics``."""
    client = app.test_client()
    told: Any = client.get("/ready").json
    page = client.get("/metrics").text
    broken = {
        str(law)
        for law in Invariant
        if metric(page, "textbridge_conservation_breach", law=str(law))
    }
    warned = [w["reason"] for w in told["warnings"] if w["name"] == "conservation"]
    assert 'textbridge_conservation_breach{law="jobs"}' in page
    return warned, broken


@pytest.mark.parametrize(("fault", "law", "words"), FAULTS, ids=[str(law) for _, law, _ in FAULTS])
def test_a_violated_invariant_is_shown_everywhere(
    busy: Flask,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Gateway, pytest.MonkeyPatch], None],
    law: Invariant,
    words: str,
) -> None:
    gateway, runner = gateway_of(busy), busy.test_cli_runner()
    checked = runner.invoke(args=["messages", "check"])
    assert (checked.exit_code, shown_violations(busy)) == (0, ([], set()))
    fault(gateway, monkeypatch)
    if law == Invariant.LEASES:  # a job in hand belongs to nobody's row: nothing else is wrong
        sql(gateway, "DELETE FROM workers")
    found = gateway.audit.check(thorough=law in AFTER_A_LOOK_AT_EVERYTHING)
    assert list(reasons(found)) == [law]
    assert words in reasons(found)[law]
    for _ in range(2):
        warned, broken = shown_violations(busy)
        assert broken == {law}
        assert words in warned[0]
        assert f"`{flask_command('messages check')}`" in warned[0]
        assert reasons(gateway.audit.check()) == reasons(found), "it stands until it is fixed"
    told = runner.invoke(args=["messages", "check", "--json"])
    assert told.exit_code == 1
    laws_told = {entry["law"]: entry for entry in json.loads(told.stdout)["laws"]}
    assert [name for name, entry in laws_told.items() if not entry["holds"]] == [law]
    assert words in laws_told[law]["reason"]
    settled = runner.invoke(args=["messages", "check", "--settle"])
    assert settled.exit_code == (0 if law in SETTLED else 1)
    assert settled.stdout.startswith("INVARIANT")
    if law in SETTLED:
        assert gateway.audit.check() == []
        assert shown_violations(busy) == ([], set())


def test_the_start_page_shows_a_violation(busy: Flask) -> None:
    client = busy.test_client()
    client.post("/admin/sign-in", data={"password": PASSWORD})
    lost = "to be made and are gone undone: 1."
    assert lost not in client.get("/admin/").text
    lose_a_job(gateway_of(busy), pytest.MonkeyPatch())
    gateway_of(busy).audit.check()
    assert lost in client.get("/admin/").text


def test_a_message_that_is_lost_at_once_is_missed_within_the_minute(busy: Flask) -> None:
    gateway = gateway_of(busy)
    receive_call(gateway, gateway.providers["sandbox"], example(gateway, "third"))
    lose_a_message(gateway, pytest.MonkeyPatch())
    assert list(reasons(gateway.audit.check())) == [Invariant.MESSAGES]
    receive_call(gateway, gateway.providers["sandbox"], example(gateway, "fourth"))
    assert list(reasons(gateway.audit.check())) == [Invariant.MESSAGES]


def test_what_only_a_look_at_everything_sees_is_not_forgotten_by_others(busy: Flask) -> None:
    """The worker looks every minute at what is new; the operator's command is another process."""
    gateway = gateway_of(busy)
    lose_a_call(gateway, pytest.MonkeyPatch())
    assert gateway.audit.check() == []
    operator = Audit(gateway.store)
    assert list(reasons(operator.check())) == [Invariant.QUARANTINE]
    assert list(reasons(gateway.audit.check())) == [Invariant.QUARANTINE]
    operator.settle()
    assert gateway.audit.check() == []


def test_a_loss_that_is_made_good_is_no_longer_told(busy: Flask) -> None:
    gateway = gateway_of(busy)
    leave_undone(gateway, pytest.MonkeyPatch())
    since = _standing(gateway)
    assert [violation.invariant for violation in since] == [Invariant.OVERDUE]
    assert _standing(gateway)[0].since == since[0].since
    sql(gateway, "UPDATE jobs SET due = due + 3600 WHERE state = 'due'")
    assert _standing(gateway) == []


def _standing(gateway: Gateway) -> list[invariant_violations.Violation]:
    gateway.audit.check()
    return gateway.store.read(invariant_violations.current)


def test_an_hour_later_everything_is_counted(busy: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = gateway_of(busy)
    lose_a_call(gateway, monkeypatch)
    assert gateway.audit.check() == []
    monkeypatch.setattr(audit, "THOROUGH_SECONDS", -1.0)
    assert list(reasons(gateway.audit.check())) == [Invariant.QUARANTINE]


def test_the_worker_checks_and_only_one_of_them(
    busy: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.CHECK_SECONDS", 0.0)
    gateway = gateway_of(busy)
    monkeypatch.setattr(gateway.delivery, "deliver", lambda *_: 0.0)
    lose_a_job(gateway, monkeypatch)
    with gateway.new_worker() as worker:
        sql(gateway, "INSERT INTO workers (id, started_at, seen_at)"
            f" VALUES ('younger', {time.time() + 9}, {time.time() + 9})")  # fmt: skip
        worker.step()
        worker.finish(lambda: None)
        assert gateway.store.read(invariant_violations.current) == []
        sql(gateway, "DELETE FROM workers WHERE id = 'younger'")
        worker.step()
        worker.finish(lambda: None)
    assert list(reasons(gateway.store.read(invariant_violations.current))) == [Invariant.JOBS]


def test_a_database_that_is_unwell_is_no_violation(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = gateway_of(make_app())

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr(invariants, "check", away)
    with pytest.raises(StorageUnwell):
        gateway.audit.check()
    assert gateway.store.read(invariant_violations.current) == []


# What it costs


def test_a_minutes_look_reads_only_what_is_new_or_not_done(tmp_path: Path) -> None:
    (tmp_path / "message_settings.json").write_text(settings_file(MAILED), encoding="utf-8")
    gateway = gateway_of(create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)}))
    gateway.audit.check()
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(gateway.store.engine, "before_cursor_execute", note)
    gateway.audit.check()
    event.remove(gateway.store.engine, "before_cursor_execute", note)
    with gateway.store.engine.connect() as connection:
        steps = [
            str(row[-1])
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    gateway.close()
    assert any("messages" in step and "seq>?" in step for step in steps)
    for step in steps:
        if step.startswith("SCAN") and ("jobs" in step or "messages" in step):
            assert any(
                f"jobs_{part}" in step for part in ("lane", "dead", "due", "parked", "leased")
            ), step
