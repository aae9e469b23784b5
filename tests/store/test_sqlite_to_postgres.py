"""Copy of a SQLite database to PostgreSQL: everything or nothing."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock
from sqlalchemy import JSON, Connection
from sqlalchemy.engine import make_url

from app import create_app
from services.core.errors import StorageUnwell
from services.core.messages import Attachment, Device, Message, Status, WebhookCall
from services.gateway import Gateway, load_environment
from services.messaging.compose import Reply
from services.operations.housekeeping import index_messages
from services.operations.settings_source import FILE
from services.operations.statistics import count as count_all
from services.store import (
    assignments,
    attempts,
    automatic_answers,
    blocked_senders,
    bulk_sends,
    carrier_events,
    circuit_breakers,
    contacts,
    conversation_marks,
    conversations,
    deletions,
    devices,
    external_threads,
    inbox,
    job_leasing,
    jobs,
    leases,
    messages,
    opt_outs,
    quarantine,
    rate_limits,
    sign_ins,
    statuses,
    workers,
)
from services.store.activity import add_counts
from services.store.bulk_sends import BulkSend, LeftOut
from services.store.database.schema import activity_pushes, metadata
from services.store.deletions import Deleter
from services.store.jobs import Job, JobKind
from services.store.maintenance import invariant_violations, invariants
from services.store.search import full_text
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.message_steps import receive_call
from tests.postgres import free_port
from tests.processes import start
from tests.server import ROOT, Server, running_server
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.processes

DEVICE = Device(id="none", extension="201")
ODD = "na\u00efve \U0001f600 \u202e \u0627\u0644 \u0301 \\u0000 ' \" \\ \x7f\x01 \ufeff"
BYTES = bytes(range(256))
KEY = "a key of the tests, long enough"
Row = tuple[Any, ...]


def open_gateway(folder: Path, **env: str) -> Gateway:
    gateway = Gateway(
        load_environment({"APP_ENV": "local", "APP_KEY": KEY, "STORAGE_PATH": str(folder), **env})
    )
    gateway.prepare()
    return gateway


def receive(gateway: Gateway, text: str, number: str = NUMBER, **changes: Any) -> None:
    sandbox = gateway.providers["sandbox"]
    message = Message(direction="in", number=number, peer=PEER, text=text, **changes)
    receive_call(gateway, sandbox, sandbox.example(message))


def populate(folder: Path) -> None:
    """A SQLite installation in which something of everything was kept."""
    (folder / FILE).write_text(settings_file(NUMBER_ENTRY | {"description": ODD}))
    gateway = open_gateway(folder)
    sandbox = gateway.providers["sandbox"]
    receive(gateway, ODD)
    receive(gateway, "a picture", media=(Attachment(source_url="http://127.0.0.1/a.gif"),))
    receive(gateway, "for nobody", number="+12025550199")
    replies = [
        gateway.composer.submit(DEVICE, Reply(text=f"{ODD} {i}", to=(PEER,)))[0] for i in range(3)
    ]
    gateway.composer.submit(
        DEVICE, Reply(text="all of you", to=(PEER, "+13035550178"), client_id="c1")
    )

    def work(tx: Connection) -> None:
        bulk = BulkSend(ODD, "201", NUMBER, ODD, "201", send_at=0.0, recipients=0, fingerprint="")
        bulk_sends.add(tx, bulk, [LeftOut(2, "12", "invalid_number", ODD)])
        for index in range(1200):  # more than two batches
            text = f"{index} {ODD}"
            fields = {"number": NUMBER, "peer": f"+1303555{index % 7:04}", "text": text}
            messages.add_inbound(
                tx,
                Message(
                    direction="in",
                    provider="sandbox",
                    provider_id=f"m{index}",
                    carrier_time=index / 3,
                    **fields,
                ),
            )
        jobs.add(tx, [Job(kind, replies[0].id, "here", target=ODD) for kind in JobKind])
        done, dead, _ = job_leasing.lease(tx, "a worker", "here", 3, time.time() + 1)
        jobs.done(tx, done)
        jobs.give_up(tx, dead, ODD)
        attempts.add(tx, dead, "refused", ODD, "4720")
        statuses.advance(tx, replies[1].id, Status.SENT, provider_id="s1")
        statuses.advance(tx, replies[2].id, Status.FAILED, code="4720", reason=ODD)
        workers.beat(tx, "a worker", 1.0)
        invariant_violations.put(tx, [invariant_violations.Violation("jobs", ODD)])
        circuit_breakers.pause(tx, "email", 5.5, ODD, config=True)
        rate_limits.count(tx, "sandbox", 3.0, time.time())
        devices.add(tx, "201", ODD)
        devices.add_pairing(tx, "201")
        sign_ins.add(tx, "a hash of the password")
        carrier_events.put(tx, "sandbox", carrier_events.CarrierEventKind.ERROR, ODD)
        (conversation,) = conversations.page(tx, [NUMBER], limit=1)
        conversations.mark_read(tx, "201", conversation.id, 5, messages.next_seq(tx))
        contacts.put(tx, contacts.Contact(PEER, ODD))
        external_threads.put(tx, "ringotel", ODD, "201", conversation.id, 5)
        assignments.put(tx, assignments.Assignment(conversation.id, ODD, "201", 1.5, 2.5))
        deleter = Deleter(ODD, "201", ODD)
        deletions.add_conversation(tx, deleter, messages.next_seq(tx), NUMBER, ODD)
        assignments.set_turn(tx, replies[0].id, assignments.Turn(ODD, "201", 1.5))
        conversation_marks.put(
            tx, conversation_marks.ConversationMark("201", conversation.id, True, 2.5)
        )
        automatic_answers.note(tx, ODD, NUMBER, PEER, time.time())
        forgotten = opt_outs.OptOut(NUMBER, "+13035550166", 1.5, opt_outs.Source.KEYWORD, ODD)
        opt_outs.record(tx, forgotten)
        opt_outs.forget(tx, forgotten.peer)  # its row keeps an HMAC, whose key is kept as well
        opt_outs.flag(tx, conversation.id, replies[0].id, 1.5)
        blocked_senders.add(tx, "+13035550167", NUMBER, ODD)
        strange = WebhookCall("POST", {"user-agent": ODD}, "a=b", BYTES)
        leases.acquire(tx, ["sandbox"], "a worker", 0.0)
        quarantine.add(tx, "sandbox", strange, ODD, BYTES)
        add_counts(tx, activity_pushes, [{"hour": 494_444, "within": 100, "count": 2}])

    gateway.store.write(work)
    for words in ({"receipt": replies[1].id, "status": "delivered"}, ["no event"]):
        body = json.dumps(words).encode()
        query = f"token={sandbox.webhook_token}"
        receive_call(gateway, sandbox, WebhookCall("POST", {}, query, body))
    index_messages(gateway.store)
    count_all(gateway.store)
    gateway.store.write(
        lambda tx: inbox.add(tx, "sandbox", WebhookCall("POST", {"user-agent": ODD}, "a=b", BYTES))
    )
    gateway.close()


def tables() -> list[str]:
    anew = ("message_settings", "search_index")
    return [table.name for table in metadata.sorted_tables if table.name not in anew]


def sqlite_rows(folder: Path) -> dict[str, list[Row]]:
    """Every row, read without Textbridge."""
    found = {}
    with closing(sqlite3.connect(folder / "textbridge.db")) as connection:
        for name in tables():
            columns = ", ".join(f'"{c.name}"' for c in metadata.tables[name].columns)
            json_at = [isinstance(c.type, JSON) for c in metadata.tables[name].columns]
            found[name] = sorted(
                (
                    tuple(
                        json.loads(value) if is_json and value is not None else value
                        for value, is_json in zip(row, json_at, strict=True)
                    )
                    for row in connection.execute(f"SELECT {columns} FROM {name}")
                ),
                key=repr,
            )
    return found


def postgres_rows(url: str) -> dict[str, list[Row]]:
    """Every row, read without Textbridge."""
    found = {}
    with psycopg.connect(url) as connection:
        for name in tables():
            columns = ", ".join(f'"{c.name}"' for c in metadata.tables[name].columns)
            rows = connection.execute(f"SELECT {columns} FROM {name}").fetchall()
            found[name] = sorted(
                (tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows),
                key=repr,
            )
    return found


def is_empty(url: str) -> bool:
    """Whether the database is as the migrations leave it."""
    rows = postgres_rows(url)
    unbooked = not any(any(row[1:]) for row in rows.pop("ledger"))
    counted = ("counted", "indexed", "pushes counted", "senders reread", "seq")
    unused = [(name, 0) for name in counted]
    return unbooked and rows.pop("counters") == unused and not any(rows.values())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The storage folder of a populated SQLite installation."""
    populate(tmp_path)
    return tmp_path


def server_of(folder: Path, database: str = "") -> Server:
    return Server(folder, {"APP_KEY": KEY, "DATABASE_URL": database})


@contextmanager
def half_way(old: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """A copy that has come as far as the table of jobs and waits there."""
    open_gateway(old, DATABASE_URL=url).close()  # so that the table is there to be locked
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE")
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "database", "copy", "--json"]
        copy = start(
            *command,
            cwd=ROOT,
            env=server_of(old, url).env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What is started in the background of a shell ignores Ctrl-C, and so do its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        try:
            end = time.monotonic() + PATIENCE
            while not waits_for_lock(url):
                assert copy.poll() is None, copy.communicate()
                assert time.monotonic() < end
                time.sleep(0.05)
            yield copy
        finally:
            copy.kill()
            copy.communicate()


def waits_for_lock(url: str) -> bool:
    with psycopg.connect(url) as connection:
        asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database IS NOT NULL"
        (count,) = connection.execute(asked).fetchone() or (0,)
        return bool(count)


def test_every_row_comes_along_and_the_service_goes_on(old: Path, empty_postgres_url: str) -> None:
    before = sqlite_rows(old)
    assert [name for name, rows in before.items() if not rows] == []
    assert {row[7] for row in before["jobs"]} == {"due", "leased", "done", "dead"}
    result = server_of(old, empty_postgres_url).flask("database", "copy", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert postgres_rows(empty_postgres_url) == before == sqlite_rows(old)
    assert {t["table"]: t["rows"] for t in told["tables"]} == {k: len(v) for k, v in before.items()}
    assert all(len(table["checksum"]) == 64 for table in told["tables"])
    assert told["message_settings"] is True

    gateway = open_gateway(old, DATABASE_URL=empty_postgres_url)
    (entry,) = gateway.settings.all()
    assert (entry.number, entry.description) == (NUMBER, ODD)
    missing = gateway.store.read(invariants.check).missing
    counted = (
        invariants.Invariant.MESSAGES,
        invariants.Invariant.QUARANTINE,
        invariants.Invariant.JOBS,
        invariants.Invariant.DONE,
    )
    assert [missing[law] for law in counted] == [0, 0, 0, 0]
    receive(gateway, "the first on PostgreSQL")
    (newest,) = gateway.store.read(lambda tx: messages.find(tx, limit=1))
    found = gateway.store.read(lambda tx: full_text.find(tx, "on postgres", [NUMBER], limit=9))
    assert found.messages == [newest]
    indexed = "SELECT count(*) FROM search_index"
    with psycopg.connect(empty_postgres_url) as connection:
        assert connection.execute(indexed).fetchone() == (len(before["messages"]),)
    reply, _ = gateway.composer.submit(DEVICE, Reply(text="and back", to=(PEER,)))
    sandbox = gateway.providers["sandbox"]
    for body in (b"no event", json.dumps({"receipt": reply.id, "status": "delivered"}).encode()):
        receive_call(
            gateway, sandbox, WebhookCall("POST", {}, f"token={sandbox.webhook_token}", body)
        )
    after = postgres_rows(empty_postgres_url)
    assert newest.seq > max(row[0] for row in before["messages"])
    for name in ("jobs", "quarantine", "receipts"):
        new = {row[0] for row in after[name]} - {row[0] for row in before[name]}
        assert new, name
        assert min(new) > max(row[0] for row in before[name]), name
    gateway.close()

    with running_server(old, {"APP_KEY": KEY, "DATABASE_URL": empty_postgres_url}) as server:
        eventually(lambda: is_sent(empty_postgres_url))
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


def is_sent(url: str) -> bool:
    """Whether everything that was due at the carrier was done."""
    with psycopg.connect(url) as connection:
        asked = "SELECT state FROM jobs WHERE destination = 'send:sandbox'"
        states = [row[0] for row in connection.execute(asked)]
        return len(states) == 5 and set(states) == {"done"}


def test_the_address_is_asked_for_and_its_password_never_shown(
    old: Path, empty_postgres_url: str
) -> None:
    secret = "swordfish"
    address = (
        make_url(empty_postgres_url).set(password=secret).render_as_string(hide_password=False)
    )
    app = create_app({"APP_ENV": "local", "APP_KEY": KEY, "STORAGE_PATH": str(old)})
    runner = app.test_cli_runner()
    for wrong in (f"mysql://u:{secret}@h/d", f"postgresql://u:{secret}/x@h:port/d", secret):
        refused = runner.invoke(args=["database", "copy"], input=f"{wrong}\n")
        assert refused.exit_code == 1
        assert "no address of a PostgreSQL database" in refused.output
        assert secret not in refused.output
    lost = address.replace(f":{make_url(address).port}/", f":{free_port()}/")
    refused = runner.invoke(args=["database", "copy"], input=f"{lost}\n")
    assert refused.exit_code == 1
    assert "cannot take it now" in refused.output
    done = runner.invoke(args=["database", "copy"], input=f"{address}?application_name={secret}\n")
    app.extensions["gateway"].close()
    assert done.exit_code == 0, done.output
    for output in (refused.output, done.output):
        assert secret not in output
    assert ["messages", str(len(sqlite_rows(old)["messages"]))] in [
        line.split()[:2] for line in done.output.splitlines()
    ]
    assert "into .env as DATABASE_URL" in done.output
    assert postgres_rows(empty_postgres_url) == sqlite_rows(old)


def test_what_postgresql_cannot_keep_is_replaced_and_counted(
    old: Path, empty_postgres_url: str
) -> None:
    with closing(sqlite3.connect(old / "textbridge.db")) as connection, connection:
        connection.execute("UPDATE messages SET text = 'a' || char(0) || 'b' WHERE seq < 3")
        connection.execute("""UPDATE quarantine SET headers = '{"x": "\\u0000"}' WHERE id = 1""")
    result = server_of(old, empty_postgres_url).flask("database", "copy")
    assert result.returncode == 0, result.stderr
    assert "2 texts" in result.stderr
    found = postgres_rows(empty_postgres_url)
    with psycopg.connect(empty_postgres_url) as connection:
        kept = connection.execute("SELECT text FROM messages WHERE seq < 3").fetchall()
    assert kept == [("a\ufffdb",)] * 2
    assert {"x": "\x00"} in [row[3] for row in found["quarantine"]]


def test_a_database_in_use_is_no_target(old: Path, empty_postgres_url: str) -> None:
    gateway = open_gateway(old, DATABASE_URL=empty_postgres_url)
    gateway.store.write(lambda tx: workers.beat(tx, "elsewhere", time.time()))
    refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "A delivery worker was at work" in refused.stderr
    gateway.store.write(lambda tx: workers.beat(tx, "elsewhere", 0.0))
    receive(gateway, "already here")
    before = postgres_rows(empty_postgres_url)
    refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "has rows" in refused.stderr
    assert postgres_rows(empty_postgres_url) == before
    gateway.close()


def test_other_message_settings_in_the_target_are_not_overwritten(
    old: Path, empty_postgres_url: str
) -> None:
    gateway = open_gateway(old, DATABASE_URL=empty_postgres_url)
    gateway.settings.remove(NUMBER)
    refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert refused.returncode == 1
    assert "other Message Settings" in refused.stderr
    assert is_empty(empty_postgres_url)
    gateway.close()


def test_a_target_that_a_start_has_touched_will_do(old: Path, empty_postgres_url: str) -> None:
    gateway = open_gateway(old, DATABASE_URL=empty_postgres_url)
    gateway.store.write(lambda tx: workers.beat(tx, "elsewhere", 0.0))
    gateway.store.write(lambda tx: circuit_breakers.pause(tx, "push", 1.0, "no", config=False))
    gateway.close()
    assert server_of(old, empty_postgres_url).flask("database", "copy").returncode == 0
    assert postgres_rows(empty_postgres_url) == sqlite_rows(old)


@pytest.mark.parametrize(("lock", "who"), [("server.lock", "server"), ("run/x.worker", "worker")])
def test_nothing_is_copied_while_a_server_or_a_worker_runs(
    old: Path, empty_postgres_url: str, lock: str, who: str
) -> None:
    open_gateway(old, DATABASE_URL=empty_postgres_url).close()
    with FileLock(old / lock):
        refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert refused.returncode == 1
    assert f"{who} runs on" in refused.stderr
    assert is_empty(empty_postgres_url)


def test_no_text_can_come_while_the_copy_is_made(old: Path, empty_postgres_url: str) -> None:
    before = sqlite_rows(old)
    gateway = open_gateway(old)
    with half_way(old, empty_postgres_url) as copy:
        server = server_of(old)
        server.start(wait=False)
        try:
            assert server.process.wait(timeout=90) != 0
        finally:
            if server.process.poll() is None:
                server.kill_tree()
        assert "Another Textbridge is running" in server.log.read_text()
        with pytest.raises(StorageUnwell):
            receive(gateway, "too early")
        copy.send_signal(signal.SIGINT)
        copy.wait(timeout=PATIENCE)
    gateway.close()
    assert sqlite_rows(old) == before
    assert is_empty(empty_postgres_url)


def test_a_copy_that_is_killed_leaves_nothing_and_can_be_made_again(
    old: Path, empty_postgres_url: str
) -> None:
    with half_way(old, empty_postgres_url) as copy:
        os.kill(copy.pid, signal.SIGKILL)
        copy.wait(timeout=PATIENCE)
    assert is_empty(empty_postgres_url)
    assert server_of(old, empty_postgres_url).flask("database", "copy").returncode == 0
    assert postgres_rows(empty_postgres_url) == sqlite_rows(old)


def test_a_row_that_does_not_fit_is_named_and_nothing_is_kept(
    old: Path, empty_postgres_url: str
) -> None:
    with closing(sqlite3.connect(old / "textbridge.db")) as connection, connection:
        connection.execute("UPDATE jobs SET attempts = 4294967296 WHERE id = 2")
    refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The table jobs cannot be copied" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert is_empty(empty_postgres_url)


def test_a_copy_that_differs_is_not_kept(old: Path, empty_postgres_url: str) -> None:
    """PostgreSQL may have been told to change what is written."""
    open_gateway(old, DATABASE_URL=empty_postgres_url).close()
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute(
            "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN NEW.reason := upper(NEW.reason); RETURN NEW; END'"
        )
        connection.execute(
            "CREATE TRIGGER shout BEFORE INSERT ON destinations "
            "FOR EACH ROW EXECUTE FUNCTION shout()"
        )
    refused = server_of(old, empty_postgres_url).flask("database", "copy")
    assert refused.returncode == 1
    assert "The copy of the table destinations differs" in refused.stderr
    assert is_empty(empty_postgres_url)


def test_without_sqlite_or_with_broken_settings_there_is_nothing_to_copy(
    old: Path, empty_postgres_url: str
) -> None:
    (old / FILE).write_text('{"numbers": [')
    app = create_app({"APP_ENV": "local", "APP_KEY": KEY, "STORAGE_PATH": str(old)})
    refused = app.test_cli_runner().invoke(
        args=["database", "copy"], input=f"{empty_postgres_url}\n"
    )
    app.extensions["gateway"].close()
    assert refused.exit_code == 1
    assert "line 1, column 14" in refused.output
    assert is_empty(empty_postgres_url)
    none = server_of(old / "none", empty_postgres_url).flask("database", "copy")
    assert none.returncode == 1
    assert "There is no SQLite database in" in none.stderr
    assert not (old / "none" / "textbridge.db").exists()
