"""Restore drill: backup under traffic, crash, restore."""

import itertools
import json
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from services.core.messages import Status
from services.store import messages
from services.store.database.schema import inbox
from services.store.database.store import Store
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.receiver import Receiver
from tests.postgres import new_database, programs
from tests.server import Server
from tests.waiting import PATIENCE

NUMBER = "+12025550143"
BEFORE = 40  # texts that are there when the backup begins
REPLIES = 16
HOOK_TOKEN = "a token of the tests"


class Carrier:
    """Texts that come in one after the other, each repeated until it is acknowledged."""

    def __init__(self, server: Server, bandwidth: FakeBandwidth) -> None:
        self._url = f"{server.url}/webhook/bandwidth/sms?token={HOOK_TOKEN}"
        self._bandwidth = bandwidth
        self._count = itertools.count()
        self._stop = threading.Event()
        self.acknowledged: list[str] = []

    def text(self) -> None:
        """Bring one."""
        index = next(self._count)
        sender = f"+1303555{index % 20:04}"
        event = self._bandwidth.event(
            f"text {index}", sender=sender, to=NUMBER, message_id=f"m{index}"
        )
        if requests.post(self._url, json=[event], timeout=PATIENCE).ok:
            self.acknowledged.append(f"text {index}")

    @contextmanager
    def trickle(self) -> Iterator[None]:
        """Bring some all the time."""

        def bring() -> None:
            while not self._stop.wait(0.02):
                self.text()

        thread = threading.Thread(target=bring)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def kept_texts(storage: Path, database: str) -> list[str]:
    """What came in, as the database has it: processed, or still in the inbox."""
    store = Store(database or None, storage)
    found = store.read(lambda tx: messages.find(tx, limit=100_000))
    bodies = store.read(lambda tx: tx.execute(select(inbox.c.body)).scalars().all())
    store.close()
    waiting = [json.loads(body)[0]["message"]["text"] for body in bodies]
    return sorted([*waiting, *(message.text for message in found if message.direction == "in")])


def copied_texts(backup: Path) -> list[str]:
    """What came in, as the copy has it: processed, or still in the inbox."""
    with closing(sqlite3.connect(backup / "textbridge.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        query = "SELECT text FROM messages WHERE direction = 'in'"
        bodies = [body for (body,) in copy.execute("SELECT body FROM inbox")]
        waiting = [json.loads(body)[0]["message"]["text"] for body in bodies]
        return sorted([*waiting, *(text for (text,) in copy.execute(query))])


def postgres(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs."""
    folder = programs()
    assert folder is not None
    subprocess.run([str(folder / program), *arguments], check=True, stdout=subprocess.DEVNULL)


def await_settled(server: Server, headers: dict[str, str], ids: list[str]) -> Counter[str]:
    """Wait until no reply is on its way; returns how many are in which state."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        url = f"{server.url}/api/v1/messages/"
        answers = [requests.get(url + one, headers=headers, timeout=PATIENCE) for one in ids]
        states = Counter(one.json()["status"] for one in answers if one.ok)
        if not {"queued", "sending"} & set(states):
            return states
        time.sleep(0.2)
    raise AssertionError(f"still on their way: {states}")


@pytest.mark.timeout(180)
def test_the_way_back_from_a_backup_that_was_made_under_traffic(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    before, after, copies = tmp_path / "before", tmp_path / "after", tmp_path / "copies"
    before.mkdir()
    entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (before / "message_settings.json").write_text(settings_file(entry))
    with FakeBandwidth() as bandwidth, Receiver() as receiver:
        env = {**bandwidth.env, **receiver.env, "BANDWIDTH_WEBHOOK_TOKEN": HOOK_TOKEN}
        env |= {"BANDWIDTH_NUMBER_RATE": "0.5", "DATABASE_URL": database}
        server = _ended_with(request, Server(before, env))
        server.start()
        headers = {"Authorization": f"Bearer {server.new_token()}"}
        carrier = Carrier(server, bandwidth)
        receiver.answers.extend([503] * 100_000)  # nothing is pushed before the crash
        for _ in range(BEFORE):
            carrier.text()
        replies = []
        for index in range(REPLIES):
            body = {"to": "+13035550177", "text": f"reply {index}", "client_id": f"c{index}"}
            url = f"{server.url}/api/v1/messages"
            replies.append(
                requests.post(url, json=body, headers=headers, timeout=PATIENCE).json()["id"]
            )
        with carrier.trickle():
            begun = set(carrier.acknowledged)
            told = server.flask("backup", str(copies))
            assert told.returncode == 0, told.stderr
            [backup] = copies.iterdir()
            dump = backup / "textbridge.dump"
            if database:
                postgres("pg_dump", "--format=custom", "--no-owner", f"--file={dump}", database)
            sent_by_then = len(bandwidth.accepted)
            time.sleep(5.0)  # two or three of the replies in the backup leave after it
        server.kill_tree()
        everything = kept_texts(before, database)
        assert sorted(carrier.acknowledged) == everything
        accepted = [one["text"] for one in bandwidth.accepted]
        assert len(accepted) > sent_by_then, "something was sent after the backup"
        assert not receiver.pushes
        receiver.answers.clear()

        if database:
            anew = new_database(request.getfixturevalue("postgres"))
            env |= {"DATABASE_URL": anew}
            postgres("pg_restore", "--no-owner", f"--dbname={anew}", str(dump))
            end = time.monotonic() + PATIENCE
            restored = _ended_with(request, Server(after, env))
            told = restored.flask("restore", str(backup), "--yes")
            while "just now" in told.stderr and time.monotonic() < end:
                time.sleep(1.0)
                told = restored.flask("restore", str(backup), "--yes")
            back = kept_texts(after, anew)
        else:
            restored = _ended_with(request, Server(after, env))
            told = restored.flask("restore", str(backup))
            back = kept_texts(after, "")
            assert back == copied_texts(backup), "as at the moment of the backup"
        assert told.returncode == 0, told.stderr
        assert begun <= set(back) < set(everything)

        restored.start()
        received = _await_pushed(receiver, len(back))
        assert received == back, "what was not pushed is pushed, each text"
        states = await_settled(restored, headers, replies)
        assert set(states) <= {str(Status.SENT), str(Status.DELIVERED), str(Status.UNKNOWN)}
        assert states.total() == REPLIES
        time.sleep(2.5)  # as long as another one would have taken
        texts = [one["text"] for one in bandwidth.accepted]
        assert texts == accepted, "nothing was sent by the restored one"
        again = Carrier(restored, bandwidth)
        again.text()
        assert again.acknowledged, "and it goes on"
        restored.stop()


def _ended_with(request: pytest.FixtureRequest, server: Server) -> Server:
    """A server that does not outlive the test, however that ends."""
    request.addfinalizer(lambda: server.kill_tree() if server.is_running() else None)
    return server


def _await_pushed(receiver: Receiver, count: int) -> list[str]:
    end = time.monotonic() + PATIENCE
    texts: dict[str, str] = {}
    while time.monotonic() < end and len(texts) < count:
        pushed = [
            p["data"]["message"] for p in list(receiver.pushes) if p["type"].endswith("received")
        ]
        texts = {message["id"]: message["text"] for message in pushed}
        time.sleep(0.2)
    return sorted(texts.values())
