"""Random kills under traffic: every acknowledged text is stored once and pushed."""

import itertools
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from services.store.database.schema import messages
from services.store.database.store import Store
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.receiver import Receiver
from tests.server import UNLIMITED, Server
from tests.waiting import PATIENCE

NUMBER = "+12025550143"
MOST = 4000  # texts, should the kills take very long
KILLS = 10


class Killer(threading.Thread):
    """Kills a child, or the whole tree, every now and then; starts the tree again."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self.stop.wait(self.random.uniform(0.3, 0.9)) and self.kills < KILLS:
            self.kills += 1
            if self.kills % 4 == 0:
                self.server.kill_tree()
                self.server.start()
                continue
            children = self.server.children()
            if children:
                with_luck = self.random.choice(children)
                try:
                    os.kill(with_luck, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def insist(request: requests.Request, seconds: float = 60.0) -> requests.Response:
    """Repeat a request until it is answered with 2xx, as carriers and apps do."""
    end = time.monotonic() + seconds
    with requests.Session() as session:
        while time.monotonic() < end:
            try:
                answer = session.send(request.prepare(), timeout=5)
                if answer.ok:
                    return answer
            except requests.RequestException:
                pass
            time.sleep(0.05)
    raise AssertionError("never taken")


@pytest.mark.timeout(300)
def test_killed_at_random_nothing_is_lost_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (tmp_path / "message_settings.json").write_text(settings_file(entry))
    with FakeBandwidth() as bandwidth, Receiver() as receiver:
        token = "a token of the tests"
        env = {**UNLIMITED, **bandwidth.env, **receiver.env, "BANDWIDTH_WEBHOOK_TOKEN": token}
        server = Server(tmp_path, env)
        server.start()
        hook = f"{server.url}/webhook/bandwidth/sms"
        bandwidth.webhook = f"{hook}?token={token}"
        headers = {"Authorization": f"Bearer {server.new_token()}"}
        killer = Killer(server, seed=7)
        killer.start()

        def text(index: int) -> None:
            event = bandwidth.event(
                f"text {index}",
                sender=f"+1303555{index % 40:04}",
                to=NUMBER,
                message_id=f"m{index}",
            )
            for _ in range(1 + (index % 10 == 0)):  # one in ten comes twice
                insist(requests.Request("POST", hook, params={"token": token}, json=[event]))
            acknowledged.add(f"m{index}")

        def reply(index: int) -> None:
            to = f"+1303555{index % 40:04}"
            body = {"to": to, "text": f"reply {index}", "client_id": f"c{index}"}
            url = f"{server.url}/api/v1/messages"
            answer = insist(requests.Request("POST", url, json=body, headers=headers))
            replied.append(str(answer.json()["id"]))

        def traffic(_: int) -> None:
            while killer.kills < KILLS and (index := next(indexes)) < MOST:
                text(index)
                if index % 6 == 0:
                    reply(index)
                time.sleep(0.02)

        acknowledged: set[str] = set()
        replied: list[str] = []
        indexes = itertools.count()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(traffic, range(8)))
        killer.stop.set()
        killer.join(60)
        if server.process.poll() is not None:
            server.start()
        assert len(acknowledged) > KILLS
        assert replied

        pushed = _wait_until_pushed(receiver, len(acknowledged))
        _wait_until_settled(server, headers, replied)
        server.stop()

        store = Store(None, tmp_path)
        kept = store.read(
            lambda tx: [
                row[0]
                for row in tx.execute(
                    select(messages.c.provider_id).where(messages.c.direction == "in")
                )
            ]
        )
        assert sorted(kept) == sorted(acknowledged), "kept once, each of them"
        assert len(pushed) == len(acknowledged)
        received = [i for i in receiver.ids if i.endswith("_received")]
        assert len(set(received)) == len(acknowledged)
        assert len(received) - len(set(received)) <= killer.kills * 16, (
            "repeated pushes: what was in hand at most"
        )
        texts = [message["text"] for message in bandwidth.accepted]
        repeated = len(received) - len(set(received))
        print(
            f"{killer.kills} kills, {len(acknowledged)} texts, {repeated} pushes repeated, "
            f"{len(texts)} of {len(replied)} replies sent, the others unknown"
        )
        assert len(texts) == len(set(texts)), "no reply was sent twice"
        store.close()


def _wait_until_pushed(receiver: Receiver, texts: int) -> set[str]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        pushes = [p for p in list(receiver.pushes) if p["type"] == "message.received"]
        ids = {p["data"]["message"]["id"] for p in pushes}
        if len(ids) >= texts:
            return ids
        time.sleep(0.1)
    raise AssertionError(f"only {len(ids)} of {texts} were pushed")


def _wait_until_settled(server: Server, headers: dict[str, str], ids: list[str]) -> None:
    """Every reply is sent, or is visibly unknown."""
    end = time.monotonic() + PATIENCE
    open_ids = set(ids)
    while open_ids and time.monotonic() < end:
        for message_id in list(open_ids):
            url = f"{server.url}/api/v1/messages/{message_id}"
            status = requests.get(url, headers=headers, timeout=PATIENCE).json()["status"]
            if status in ("sent", "delivered", "unknown"):
                open_ids.discard(message_id)
        time.sleep(0.2)
    assert not open_ids, f"{len(open_ids)} replies are neither sent nor unknown"
