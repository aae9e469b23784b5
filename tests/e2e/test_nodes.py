"""Several nodes with one PostgreSQL and one bucket: shared state, kills, one rate limit."""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import Row, text

from services.store.database.store import Store
from services.store.rate_limits import BURST_SECONDS
from tests.conftest import settings_file
from tests.e2e.test_text_flow import PNG
from tests.fakes.bandwidth import FakeBandwidth, Trouble
from tests.fakes.receiver import Receiver
from tests.fakes.s3 import S3Server
from tests.server import UNLIMITED, LoneWorker, Server
from tests.waiting import PATIENCE, eventually

NUMBER, ANOTHER = "+12025550143", "+12025550144"
TOKEN = "a token of the tests"
KILLS = 20
MOST = 4000  # texts, should the kills take very long
SLOTS = 16  # pushes that a worker may have in hand
RATE = 10.0


class Nodes:
    """Two that only serve, two that only deliver, and everything around them."""

    def __init__(self, folder: Path, database_url: str, stack: ExitStack, **more: str) -> None:
        self.bandwidth = stack.enter_context(FakeBandwidth())
        self.receiver = stack.enter_context(Receiver())
        self.bucket = stack.enter_context(S3Server())
        env = {
            **UNLIMITED,
            **self.bandwidth.env,
            **self.receiver.env,
            **self.bucket.env,
            "APP_URL": "https://sms.example.com",
            "BANDWIDTH_WEBHOOK_TOKEN": TOKEN,
            "DATABASE_URL": database_url,
            "DELIVERY_WORKER": "false",
            **more,
        }
        self.webs = [Server(folder / f"web{index}", env) for index in range(2)]
        self.workers = [LoneWorker(folder / f"worker{index}", env) for index in range(2)]
        self.all: list[Server] = [*self.webs, *self.workers]
        stack.callback(self._end)
        self.store = Store(database_url, folder / "looker-on")
        stack.callback(self.store.close)
        self.bearer = ""

    def start(self) -> None:
        """Start the first node alone, as it brings the database up to date, then the others."""
        entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
        first = self.webs[0]
        first.storage.mkdir(parents=True)
        (first.storage / "message_settings.json").write_text(settings_file(entry))
        first.start(wait=False)
        eventually(lambda: alive(first))
        for node in self.all[1:]:
            node.start(wait=False)
        for worker in self.workers:
            worker.wait_ready()
        for web in self.webs:
            web.wait_ready()
        self.bandwidth.webhook = f"{self.webs[1].url}/webhook/bandwidth/sms?token={TOKEN}"
        self.bearer = self.webs[0].new_token()

    def text(self, web: Server, words: str, **about: Any) -> None:
        """A text that the carrier posts to a node, and again until one of them has taken it."""
        event = self.bandwidth.event(words, **{"to": NUMBER, **about})
        self.insist(web, "POST", "/webhook/bandwidth/sms", params={"token": TOKEN}, json=[event])

    def reply(self, web: Server, words: str, to: str) -> str:
        """A reply of the app's; returns its id."""
        body = {"to": to, "text": words, "client_id": words}
        return str(self.insist(web, "POST", "/api/v1/messages", json=body).json()["id"])

    def status(self, web: Server, message_id: str) -> str:
        """What became of a reply."""
        return str(self.insist(web, "GET", f"/api/v1/messages/{message_id}").json()["status"])

    def insist(self, web: Server, method: str, path: str, **more: Any) -> requests.Response:
        """A request to a node; a balancer tries the other one where that does not answer."""
        headers = {"Authorization": f"Bearer {self.bearer}"}
        turns = itertools.cycle([web, *(other for other in self.webs if other is not web)])
        end = time.monotonic() + PATIENCE
        for node in turns:
            assert time.monotonic() < end, "never taken"
            try:
                answer = requests.request(
                    method, node.url + path, headers=headers, timeout=5, **more
                )
                if answer.ok:
                    return answer
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise AssertionError

    def pushed(self, words: str) -> dict[str, Any]:
        """What the app was told of a text with these words, once it is."""

        def look() -> dict[str, Any] | None:
            told = [one["data"] for one in list(self.receiver.pushes)]
            return next((one for one in told if one["message"]["text"] == words), None)

        found: dict[str, Any] = eventually(look)
        return found

    def rows(self, query: str) -> list[Row[Any]]:
        """What the database says."""
        return self.store.read(lambda tx: list(tx.execute(text(query))))

    def _end(self) -> None:
        for node in self.all:
            if node.is_running():
                node.kill_tree()


def alive(web: Server) -> bool:
    try:
        return requests.get(f"{web.url}/up", timeout=2).ok
    except requests.RequestException:
        return False


@pytest.fixture
def make_nodes(tmp_path: Path, postgres_url: str) -> Iterator[Callable[..., Nodes]]:
    with ExitStack() as stack:
        yield lambda **more: Nodes(tmp_path, postgres_url, stack, **more)


def test_what_is_done_at_one_node_counts_at_the_others(make_nodes: Callable[..., Nodes]) -> None:
    nodes = make_nodes()
    nodes.start()
    here, there = nodes.webs
    assert [len(web.children()) for web in nodes.webs] == [1, 1], "no worker among them"

    nodes.text(there, "hello", sender="+13035550177")
    nodes.receiver.wait_for(1)

    # Message Settings, edited here, count there
    edited = here.flask("settings", "set", ANOTHER, "--carrier", "bandwidth", "--extension", "202")
    assert edited.returncode == 0, edited.stderr
    nodes.text(there, "to the new number", sender="+13035550178", to=ANOTHER)
    assert nodes.pushed("to the new number")["extension"] == "202"

    # a picture, uploaded here, is shown there and sent by a third
    uploaded = nodes.insist(
        here, "POST", "/api/v1/media", files={"file": ("a.png", PNG, "image/png")}
    ).json()
    link = urlsplit(uploaded["url"])
    shown = requests.get(f"{there.url}{link.path}?{link.query}", timeout=PATIENCE)
    assert (shown.status_code, shown.content) == (200, PNG)
    body = {"to": "+13035550177", "text": "look", "media_ids": [uploaded["id"]]}
    sent = nodes.insist(there, "POST", "/api/v1/messages", json=body).json()
    eventually(lambda: nodes.status(here, sent["id"]) in ("sent", "delivered"))
    assert [content for _, content in nodes.bandwidth.media.values()] == [PNG]

    # workers leave cleanly; those that serve say so, and still take texts
    for worker in nodes.workers:
        assert worker.stop() == 0
        assert "has ended" in worker.log.read_text().splitlines()[-1]
        assert list((worker.storage / "run").glob("*.worker")) == []
    lines = [line for worker in nodes.workers for line in worker.log.read_text().splitlines()]
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert events.count("done") >= 3  # one worker may have done them all
    remedy = "flask worker` on one of the nodes, or set DELIVERY_WORKER=true"
    eventually(lambda: remedy in silent(here))
    nodes.text(there, "kept", sender="+13035550177")
    nodes.workers[0].start(wait=False)
    there.wait_ready()
    nodes.pushed("kept")


def silent(web: Server) -> str:
    """What a node that is not ready says of the worker."""
    answer = requests.get(f"{web.url}/ready", timeout=PATIENCE)
    (check,) = (check for check in answer.json()["checks"] if check["name"] == "worker")
    assert check["ok"] == answer.ok
    return str(check["reason"])


class Killer(threading.Thread):
    """Kills a whole node every now and then, of any kind, and starts it again."""

    def __init__(self, nodes: list[Server], seed: int) -> None:
        super().__init__(daemon=True)
        self.nodes = nodes
        self.random = random.Random(seed)
        self.killed: list[Server] = []

    def run(self) -> None:
        while len(self.killed) < KILLS:
            time.sleep(self.random.uniform(0.3, 1.5))
            node = self.random.choice(self.nodes)
            if node.is_running():
                node.kill_tree()
                self.killed.append(node)
            node.start(wait=False)


@pytest.mark.timeout(240)
def test_nodes_killed_at_random_lose_nothing_and_send_nothing_twice(
    make_nodes: Callable[..., Nodes],
) -> None:
    nodes = make_nodes()
    nodes.start()
    killer = Killer(nodes.all, seed=11)
    acknowledged: set[str] = set()
    pictured: set[str] = set()
    replied: list[str] = []
    indexes = itertools.count()

    def traffic(thread: int) -> None:
        while killer.is_alive() and (index := next(indexes)) < MOST:
            web = nodes.webs[index % 2]
            sender = f"+1303555{index % 40:04}"
            name = f"m{index}"
            media = [nodes.bandwidth.offer(name, "image/png", PNG)] if index % 12 == 0 else []
            for _ in range(1 + (index % 10 == 0)):  # one in ten comes twice
                nodes.text(web, name, sender=sender, message_id=name, media=media)
            acknowledged.add(name)
            if media:
                pictured.add(name)
            if index % 5 == 0:
                replied.append(nodes.reply(nodes.webs[index // 5 % 2], f"c{index}", sender))
            time.sleep(0.02)

    killer.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(traffic, range(6)))
    killer.join()
    assert {type(node) for node in killer.killed} == {Server, LoneWorker}
    assert acknowledged
    assert pictured
    assert replied

    # One is lost for good with a text in hand: the others know it by its silence only.
    for web in nodes.webs:
        eventually(lambda web=web: alive(web))
    hanging = _reply_that_hangs(nodes)
    owner = nodes.rows(f"SELECT owner FROM jobs WHERE message_id = '{hanging}'")[0][0]
    lost = next(w for w in nodes.workers if (w.storage / "run" / f"{owner}.worker").exists())
    lost.kill_tree()
    assert nodes.status(nodes.webs[0], hanging) == "sending"
    eventually(lambda: nodes.status(nodes.webs[1], hanging) != "sending")
    assert nodes.status(nodes.webs[0], hanging) == "unknown"

    _wait_pushed(nodes.receiver, acknowledged)
    for message_id in replied:
        eventually(lambda m=message_id: nodes.status(nodes.webs[0], m) in SETTLED)
    kept = nodes.rows("SELECT provider_id FROM messages WHERE direction = 'in'")
    assert sorted(row[0] for row in kept) == sorted(acknowledged), "kept once, each of them"
    received = [i for i in nodes.receiver.ids if i.endswith("_received")]
    repeated = len(received) - len(set(received))
    workers_killed = sum(isinstance(node, LoneWorker) for node in killer.killed) + 1
    assert len(set(received)) == len(acknowledged)
    assert repeated <= workers_killed * SLOTS, "repeated pushes: what was in hand at most"
    texts = [message["text"] for message in nodes.bandwidth.accepted]
    assert len(texts) == len(set(texts)), "no reply was sent twice"
    assert len(texts) <= len(replied) + 1

    states = "SELECT a.id, a.state FROM attachments a JOIN messages m ON m.id = a.message_id"
    eventually(lambda: {row[1] for row in nodes.rows(states)} == {"kept"})
    files = nodes.rows(states)
    assert len(files) == len(pictured)
    for web, row in itertools.product(nodes.webs, files[:5]):
        assert nodes.insist(web, "GET", f"/api/v1/media/{row[0]}").content == PNG
    print(
        f"{len(killer.killed) + 1} nodes killed, {len(acknowledged)} texts, {len(files)} pictures, "
        f"{repeated} pushes repeated, {len(texts) - 1} of {len(replied)} replies sent, the others "
        f"unknown, deadlocks: {nodes.rows('SELECT sum(deadlocks) FROM pg_stat_database')[0][0]}"
    )


SETTLED = ("sent", "delivered", "unknown")


def _reply_that_hangs(nodes: Nodes) -> str:
    """Queue a reply that its carrier takes and never answers; returns its id."""
    waiting = "SELECT 1 FROM jobs WHERE kind = 'send' AND state IN ('due', 'leased')"
    eventually(lambda: not nodes.rows(waiting))
    nodes.bandwidth.next("messages", Trouble.HANG)
    hanging = nodes.reply(nodes.webs[0], "hangs", "+13035559999")
    eventually(
        lambda: any(message["text"] == "hangs" for message in list(nodes.bandwidth.accepted))
    )
    return hanging


def _wait_pushed(receiver: Receiver, names: set[str]) -> None:
    def all_of_them() -> bool:
        pushes = [p for p in list(receiver.pushes) if p["type"] == "message.received"]
        return {p["data"]["message"]["text"] for p in pushes} == names

    eventually(all_of_them)


def test_two_workers_together_keep_the_pace_of_one(make_nodes: Callable[..., Nodes]) -> None:
    nodes = make_nodes(BANDWIDTH_RATE=f"{RATE:g}")
    arrivals: list[float] = []
    take = nodes.bandwidth.take

    def noted(*request: Any) -> Any:
        arrivals.append(time.monotonic())
        return take(*request)

    nodes.bandwidth.take = noted  # type: ignore[method-assign]
    nodes.start()
    with ThreadPoolExecutor(4) as pool:
        ids = list(
            pool.map(
                lambda i: nodes.reply(nodes.webs[i % 2], f"c{i}", f"+1303555{i:04}"), range(60)
            )
        )
    for message_id in ids:
        eventually(lambda m=message_id: nodes.status(nodes.webs[0], m) in SETTLED)
    owners = [w.log.read_text().count('"event": "done"') for w in nodes.workers]
    assert all(owners), "both of them have sent"
    assert len(arrivals) == len(ids)
    late = 1.0  # seconds by which a request may reach the carrier later than another
    for first, last in itertools.combinations(range(len(arrivals)), 2):
        allowed = RATE * (arrivals[last] - arrivals[first] + BURST_SECONDS + late) + 1
        assert last - first + 1 <= allowed
