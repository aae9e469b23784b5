"""A Textbridge under measurement: its settings, the requests to it, and what the receiver saw."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import requests

from bench import processes, traffic
from bench.processes import Process
from bench.traffic import Make, Result
from tests.conftest import settings_file
from tests.server import UNLIMITED, Server

TOKEN = "a token of the bench, long enough"
PUSHED, STORED = "+12025550143", "+12025550199"  # numbers with an extension, and with none
PEERS = 997  # people who write


class Street:
    """A server, the receiver behind it, and texts that are numbered from the first one on."""

    def __init__(self, server: Server, receiver: Process) -> None:
        self.server = server
        self.receiver = receiver
        self.numbers: Iterator[int] = count()
        self.memory_at_start = self.memory_mb()
        self.bearer = self._bearer()

    def _bearer(self) -> str:
        made = self.server.flask("devices", "add", "201", "--name", "bench", "--json")
        return str(json.loads(made.stdout)["token"])

    def webhooks(self, number: str = PUSHED) -> Make:
        """Texts to a number of ours, as Bandwidth posts them."""
        path = f"/webhook/bandwidth/sms?token={TOKEN.replace(' ', '%20')}"

        def make(index: int) -> bytes:
            return traffic.post(path, webhook(index, number))

        return make

    def replies(self) -> Make:
        """Messages from the extension's app."""
        headers = f"Authorization: Bearer {self.bearer}\r\n"

        def make(index: int) -> bytes:
            body = {"to": _peer(index), "text": f"bench {index}", "client_id": f"c{index}"}
            return traffic.post("/api/v1/messages", json.dumps(body).encode(), headers=headers)

        return make

    def read(self, path: str) -> Make:
        """A call of the app's that reads."""
        request = traffic.get(path, headers=f"Authorization: Bearer {self.bearer}\r\n")
        return lambda _: request

    def run(self, make: Make, **how: float) -> Result:
        """Traffic with numbers that nobody has used yet."""
        return traffic.run(self.server.port, make, numbers=self.numbers, **how)  # type: ignore[arg-type]

    def longest_conversation(self) -> str:
        """The id of the conversation that ``fill`` gives every tenth message."""
        answer = requests.get(
            f"{self.server.url}/api/v1/conversations?limit=1&q={_peer(0)[1:]}",
            headers={"Authorization": f"Bearer {self.bearer}"},
            timeout=60,
        )
        return str(answer.json()["items"][0]["id"])

    def seen(self) -> dict[int, float]:
        """When the receiver had each numbered text."""
        told = requests.get(f"http://127.0.0.1:{self.receiver.port}/seen", timeout=60).json()
        return {int(number): at for number, at in told["seen"].items()}

    def forget(self) -> None:
        """Let the receiver begin anew."""
        requests.delete(f"http://127.0.0.1:{self.receiver.port}/seen", timeout=60)

    def wait_for(self, wanted: int, seconds: float = 300.0) -> dict[int, float]:
        """What the receiver saw, once that is everything; raises when it does not come."""
        end = time.monotonic() + seconds
        while len(seen := self.seen()) < wanted:
            if time.monotonic() > end:
                raise RuntimeError(f"Only {len(seen)} of {wanted} came through.")
            time.sleep(0.1)
        return seen

    def cpu_seconds(self) -> float:
        """What the server's processes have used so far."""
        return processes.cpu_seconds(self.server.process.pid)

    def memory_mb(self) -> float:
        """What the server's processes hold."""
        return processes.memory_mb(self.server.process.pid)


def webhook(index: int, number: str) -> bytes:
    """A text in the form of Bandwidth's webhook, about 500 bytes."""
    return json.dumps(
        [
            {
                "type": "message-received",
                "time": "2026-03-02T09:15:04.118230Z",
                "description": "Incoming message received",
                "to": number,
                "message": {
                    "id": f"1772442904003{index:014}",
                    "owner": number,
                    "applicationId": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
                    "time": "2026-03-02T09:15:03.000000Z",
                    "segmentCount": 1,
                    "direction": "in",
                    "to": [number],
                    "from": _peer(index),
                    "text": f"bench {index} Good morning! Is the shop open until six today?",
                },
            }
        ]
    ).encode()


def _peer(index: int) -> str:
    return f"+1303555{index % PEERS:04}"


def settings() -> Sequence[dict[str, object]]:
    """Message Settings of the bench."""
    return (
        {"number": PUSHED, "carrier": "bandwidth", "extensions": ["201"]},
        {"number": STORED, "carrier": "bandwidth", "emails": [], "extensions": []},
    )


@contextmanager
def street(storage: Path, database_url: str | None = None) -> Iterator[Street]:
    """A server with its defaults, two web processes and one delivery worker, and a receiver."""
    with processes.receiver() as receiver:
        server = make_server(storage, receiver.port, database_url)
        server.start()
        try:
            yield Street(server, receiver)
        finally:
            server.stop()


def make_server(storage: Path, receiver_port: int, database_url: str | None = None) -> Server:
    """A server that is not started yet."""
    storage.mkdir(parents=True, exist_ok=True)
    (storage / "message_settings.json").write_text(settings_file(*settings()))
    address = f"http://127.0.0.1:{receiver_port}"
    env = {
        "WEB_CONCURRENCY": "2",
        "APP_ENV": "production",
        "BANDWIDTH_ACCOUNT_ID": "9900001",
        "BANDWIDTH_API_TOKEN": "token",
        "BANDWIDTH_API_SECRET": "secret of the bench",
        "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
        "BANDWIDTH_AUTH": "basic",
        "BANDWIDTH_MESSAGE_BASE_URL": f"{address}/api/v2",
        "BANDWIDTH_WEBHOOK_TOKEN": TOKEN,
        "PUSH_WEBHOOK_URL": f"{address}/push",
        "PUSH_WEBHOOK_SECRET": "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }
    env |= dict.fromkeys(UNLIMITED, "1000000")  # counted as in service, and never reached
    if database_url is not None:
        env["DATABASE_URL"] = database_url
    return Server(storage, env)
