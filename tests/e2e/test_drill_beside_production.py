"""The restore drill of docs/backup.md, beside a server in service, which must not notice it."""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from sqlalchemy import func, select

from services.store.database import schema
from services.store.database.store import Store
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.receiver import Receiver
from tests.server import ROOT, Server
from tests.waiting import PATIENCE, eventually

NUMBER = "+12025550143"
PEER = "+13035550177"
HOOK_TOKEN = "a token of the tests"
OF_A_RUNNING_SERVER = (
    "textbridge.db",
    "run/",
    "server.log",
    "write.lock",
)  # beginnings of files that it writes
TABLES = (
    schema.messages,
    schema.jobs,
    schema.attachments,
    schema.conversations,
    schema.devices,
    schema.contacts,
    schema.inbox,
    schema.message_settings,
)


def documented_lines() -> tuple[list[str], list[str]]:
    """What docs/backup.md says to type: with SQLite, and with PostgreSQL."""
    page = (ROOT / "docs/backup.md").read_text("utf-8")
    drill = page.partition("## Restore drill")[2].partition("\n## ")[0]
    first, second = (block.partition("\n```")[0] for block in drill.split("\n```\n")[1::2])
    return first.splitlines(), second.splitlines()


@contextmanager
def in_service(storage: Path, env: dict[str, str]) -> Iterator[Server]:
    """A server with a text that was pushed, a reply that was sent, and one for tomorrow."""
    storage.mkdir()
    entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (storage / "message_settings.json").write_text(settings_file(entry))
    server = Server(storage, env)
    server.start()
    try:
        yield server
    finally:
        server.kill_tree()


def state(server: Server) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, str]]:
    """Rows of the tables, and digests of the files that only a person changes."""
    store = Store(server.env["DATABASE_URL"] or None, server.storage)
    rows = {
        table.name: sorted(map(tuple, store.read(lambda tx, t=table: tx.execute(select(t)).all())))
        for table in TABLES
    }
    store.close()
    files = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in server.storage.rglob("*")
        if path.is_file()
        and not (name := str(path.relative_to(server.storage))).startswith(OF_A_RUNNING_SERVER)
    }
    return rows, files


def heartbeat(server: Server) -> float:
    """When its delivery worker last wrote that it lives."""
    store = Store(server.env["DATABASE_URL"] or None, server.storage)
    seen = store.read(lambda tx: tx.scalar(select(func.max(schema.workers.c.seen_at))))
    store.close()
    return float(seen or 0)


@pytest.mark.timeout(240)
def test_a_server_in_service_does_not_notice_the_drill(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with FakeBandwidth() as bandwidth, Receiver() as receiver:
        env = {**bandwidth.env, **receiver.env, "BANDWIDTH_WEBHOOK_TOKEN": HOOK_TOKEN}
        env |= {"DATABASE_URL": database}
        with in_service(tmp_path / "storage", env) as server:
            _talk(server, bandwidth, receiver)
            done = server.flask("backup", str(tmp_path / "copies"))
            assert done.returncode == 0, done.stderr
            [copy] = (tmp_path / "copies").iterdir()
            before = state(server)
            heard = len(bandwidth.accepted), len(receiver.pushes)
            shown = _drill(server, copy, tmp_path / "drill", database)
            assert "are you open" in shown
            assert "1 texts were scheduled for later and are cancelled now" in shown
            assert not (tmp_path / "drill").exists()
            seen = heartbeat(server)
            eventually(lambda: heartbeat(server) > seen)  # what the drill had left would be done
            assert state(server) == before
            assert heard == (len(bandwidth.accepted), len(receiver.pushes))
            assert requests.get(f"{server.url}/ready", timeout=PATIENCE).ok


def _talk(server: Server, bandwidth: FakeBandwidth, receiver: Receiver) -> None:
    """A text comes in and is pushed, a reply is sent, and one waits for tomorrow."""
    headers = {"Authorization": f"Bearer {server.new_token()}"}
    event = bandwidth.event("are you open", sender=PEER, to=NUMBER, message_id="m1")
    hook = f"{server.url}/webhook/bandwidth/sms?token={HOOK_TOKEN}"
    assert requests.post(hook, json=[event], timeout=PATIENCE).ok
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for more in ({}, {"send_at": tomorrow}):
        body = {"to": PEER, "text": "yes", **more}
        answer = requests.post(
            f"{server.url}/api/v1/messages", json=body, headers=headers, timeout=PATIENCE
        )
        assert answer.status_code == 202, answer.text
    eventually(lambda: bandwidth.accepted and receiver.pushes)

    def is_idle() -> bool:
        first = state(server)
        time.sleep(1.5)
        return state(server) == first

    eventually(is_idle)


def _drill(server: Server, copy: Path, folder: Path, database: str) -> str:
    """Type the documented lines; returns what they print.

    The shell has every variable of the server in its environment, as that of a container has.
    """
    sqlite, postgresql = documented_lines()
    shown = ""
    with_database = f"{database.rpartition('/')[0]}/drill" if database else ""
    for line in postgresql if database else sqlite:
        if "createdb" in line or "dropdb" in line:
            _create_or_drop(database, line)
            continue
        typed = (
            line.replace("/var/backups/textbridge/textbridge-20260130-023000", str(copy))
            .replace("/tmp/drill", str(folder))
            .replace("postgresql://textbridge@localhost/drill", with_database)
            .replace(".venv/bin/flask", str(ROOT / ".venv/bin/flask"))
        )
        end = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                ["bash", "-c", typed],
                cwd=ROOT, env=server.env, capture_output=True, text=True, check=False,
            )  # fmt: skip
            # The worker in service had written its heartbeat just before the backup.
            if "just now" not in done.stderr or time.monotonic() > end:
                break
            time.sleep(2.0)
        assert done.returncode == 0, f"{typed}: {done.stderr}"
        shown += done.stdout + done.stderr
    return shown


def _create_or_drop(database: str, line: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS drill WITH (FORCE)")
        if "createdb" in line:
            connection.execute("CREATE DATABASE drill")
